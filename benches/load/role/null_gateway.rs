//! The gateway on a sink that has everything at once, or after a fixed time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iem_gateway::Gateway;
use iem_gateway::config::{self, SinkKind};
use iem_gateway::pipeline::Backend;
use iem_gateway::sinks::Backends;
use iem_sink::testing::NullSink;

/// Serves until the process is ended.
pub fn serve(path: &str, delay: Duration) {
    let config = config::load(Some(Path::new(path)), None);
    let config = config.unwrap_or_else(|error| panic!("{error}")).config;
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // Every topic is on the sink that the configuration calls `file`.
    let backend = Arc::new(Backend {
        name: "null",
        sink: Box::new(NullSink { delay }),
    });
    let gateway = Gateway::open_with_sinks(&config, Backends::from([(SinkKind::File, backend)]));
    let gateway = gateway.unwrap_or_else(|error| panic!("{error}"));
    println!(
        "listening address={} admin={}",
        gateway.address(),
        gateway.admin_address()
    );
    let ended = gateway.run(std::future::pending());
    ended.unwrap_or_else(|error| panic!("{error}"));
}
