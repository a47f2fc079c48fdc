//! The gateway on a sink that has everything at once, or after a fixed time.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use iem_gateway::Gateway;
use iem_gateway::config::{self, SinkKind};
use iem_gateway::pipeline::Backend;
use iem_gateway::sinks::Backends;
use iem_sink::{Outcome, Record, Sink, SinkError, TopicConfig, Writer};

#[derive(Clone, Copy)]
struct Null {
    delay: Duration,
}

impl Sink for Null {
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

impl Writer for Null {
    fn write(&mut self, _: &[Record], outcomes: &mut [Outcome], _: Instant) -> Result<(), SinkError> {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        outcomes.fill(Outcome::Delivered);
        Ok(())
    }
}

/// Serves until the process is ended.
pub fn serve(path: &str, delay: Duration) {
    let config = config::load(Some(Path::new(path)), None);
    let config = config.unwrap_or_else(|error| panic!("{error}")).config;
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // Every topic is on the sink that the configuration calls `file`.
    let backend = Arc::new(Backend { name: "null", sink: Box::new(Null { delay }) });
    let gateway = Gateway::open_with_sinks(&config, Backends::from([(SinkKind::File, backend)]));
    let gateway = gateway.unwrap_or_else(|error| panic!("{error}"));
    println!("listening address={} admin={}", gateway.address(), gateway.admin_address());
    let ended = gateway.run(std::future::pending());
    ended.unwrap_or_else(|error| panic!("{error}"));
}
