//! Configuration → backends. The only file that names the sink crates.

use std::collections::HashMap;
use std::sync::Arc;

use iem_sink::{Sink, SinkError};
use iem_sink_file::{Compression, FileConfig, FileSink};

use crate::config::{self, Config, SinkKind};
use crate::pipeline::Backend;

/// The backends that the topics use, each opened once.
pub type Backends = HashMap<SinkKind, Arc<Backend>>;

/// Opens every backend that a topic uses, and no other.
///
/// # Errors
/// The sink's own, with its name before it.
pub fn open(config: &Config) -> Result<Backends, SinkError> {
    let mut backends = Backends::new();
    for topic in &config.topics {
        if !backends.contains_key(&topic.sink) {
            let (name, sink) = open_one(topic.sink, &config.sink)?;
            backends.insert(topic.sink, Arc::new(Backend { name, sink }));
        }
    }
    Ok(backends)
}

fn open_one(kind: SinkKind, sinks: &config::Sinks) -> Result<(&'static str, Box<dyn Sink>), SinkError> {
    match kind {
        SinkKind::File => {
            let file = &sinks.file;
            let sink = FileSink::open(FileConfig {
                path: file.path.clone(),
                sync: file.sync,
                rotate_size: file.rotate_size as u64,
                rotate_age: file.rotate_age,
                compression: match file.compress {
                    config::Compression::None => Compression::None,
                    config::Compression::Zstd => Compression::Zstd,
                },
            })?;
            Ok(("file", Box::new(sink)))
        }
    }
}
