//! A sink that has everything at once, or after a fixed time: what benches put where no backend is
//! to be measured.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Outcome, Record, Sink, SinkError, TopicConfig, Writer};

/// Keeps nothing, and marks every record as delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink {
    /// How long a write takes.
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
