//! Configuration → backends. The only file that names the sink crates.

use std::collections::{BTreeSet, HashMap};
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
    let open = |kind| {
        let (name, sink) = open_one(kind, &config.sink)?;
        Ok((kind, Arc::new(Backend { name, sink })))
    };
    in_use(config).into_iter().map(open).collect()
}

/// The sinks that a topic uses, each once.
fn in_use(config: &Config) -> BTreeSet<SinkKind> {
    config.topics.iter().map(|topic| topic.sink).collect()
}

/// One thing that a sink needs, and what was found of it or is wrong with it.
pub struct Finding {
    /// A folder, a broker, a topic.
    pub what: String,
    /// In words, for an operator.
    pub found: Result<String, String>,
}

/// Looks at what the sinks in use need, as a start would find it, and changes nothing.
pub fn inspect(config: &Config) -> Vec<Finding> {
    in_use(config).into_iter().flat_map(|kind| inspect_one(kind, &config.sink)).collect()
}

fn inspect_one(kind: SinkKind, sinks: &config::Sinks) -> Vec<Finding> {
    match kind {
        SinkKind::File => {
            let path = &sinks.file.path;
            let found = FileSink::inspect(path).map_err(|error| error.to_string());
            vec![Finding { what: format!("file sink {}", path.display()), found }]
        }
    }
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
