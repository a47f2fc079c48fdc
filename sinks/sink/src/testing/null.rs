//! A sink without a backend, for benches that measure everything before it.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Outcome, Record, Sink, SinkError, TopicConfig, Writer};

/// A sink that drops every record and marks it as delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink {
    /// The time that a write takes.
    pub delay: Duration,
}

impl Sink for NullSink {
    fn writer(&self, _topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError> {
        Ok(Box::new(*self))
    }

    fn check(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(self: Box<Self>, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Writer for NullSink {
    fn write(
        &mut self,
        _: &[Record],
        outcomes: &mut [Outcome],
        _: Instant,
    ) -> Result<(), SinkError> {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        outcomes.fill(Outcome::Delivered);
        Ok(())
    }
}
