//! The gateway with a null sink, which delivers at once or after a fixed time.

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
    let config = config::load(Some(Path::new(path)), None)
        .unwrap_or_else(|error| panic!("{error}"))
        .config;
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // The null sink takes the place of the file sink, which every topic goes to.
    let backend = Arc::new(Backend {
        name: "null",
        sink: Box::new(NullSink { delay }),
    });
    let gateway = Gateway::open_with_sinks(&config, Backends::from([(SinkKind::File, backend)]))
        .unwrap_or_else(|error| panic!("{error}"));
    println!(
        "listening address={} admin={}",
        gateway.address(),
        gateway.admin_address()
    );
    gateway
        .run(std::future::pending::<std::future::Pending<()>>())
        .unwrap_or_else(|error| panic!("{error}"));
}
