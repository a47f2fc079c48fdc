//! A sink without a backend, for benches that measure everything before it.

use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Sending, Settled, Sink, SinkError, TopicConfig, Writer};

/// A sink that drops every record and marks it as delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink {
    /// The time that a write takes.
    pub delay: Duration,
}

impl Sink for NullSink {
    fn writer(&self, _: &TopicConfig, _: Waker) -> Result<Box<dyn Writer>, SinkError> {
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
    fn send(&mut self, records: &[Sending<'_>], _: Instant, settled: &mut Settled) {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        for one in records {
            settled.delivered(one.token);
        }
    }
}
