//! The conformance suite of the sink contract.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iem_disk::Operation;
use iem_sink::Sink;
use iem_sink::testing::{Backend, Stored, conformance};
use tempfile::TempDir;

use super::fixture::{config, members, open};
use crate::config::{Compression, FileConfig};
use crate::data_directory::DataDirectory;
use crate::testing::read_topic;

/// The sink under test, with a fault that can be switched on.
struct Files {
    config: FileConfig,
    /// The directory of the open sink. Weak, so that it does not keep the directory locked.
    directory: RefCell<Weak<DataDirectory>>,
    /// The operation that fails while the backend is interrupted.
    fault: Operation,
}

impl Backend for Files {
    fn open(&self) -> Box<dyn Sink> {
        let sink = open(&self.config);
        self.directory.replace(Arc::downgrade(&sink.directory));
        Box::new(sink)
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        read_topic(&self.config.path, topic)
            .iter()
            .map(|line| stored(line))
            .collect()
    }

    fn joins_lines(&self) -> bool {
        true
    }

    fn interrupt(&self, _topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
        let directory = self.directory.borrow().upgrade().unwrap();
        directory.disk.faults.fail(self.fault, usize::MAX);
        Some(Box::new(move || directory.disk.faults.heal()))
    }
}

fn stored(line: &str) -> Stored {
    let mut attributes = members(line);
    let data = attributes.remove("data").unwrap().get().into();
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| (name, serde_json::from_str(value.get()).unwrap()))
        .collect();
    Stored { attributes, data }
}

/// Runs the suite with a changed configuration and this fault.
fn conforms(change: impl FnOnce(&mut FileConfig), fault: Operation) {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    change(&mut config);
    conformance(&Files {
        config,
        directory: RefCell::default(),
        fault,
    });
}

#[test]
fn conforms_with_the_gateways_defaults() {
    conforms(
        |config| {
            config.rotate_size = 256 << 20;
            config.rotate_age = Duration::from_hours(1);
            config.compression = Compression::Zstd;
        },
        Operation::Write,
    );
}

#[test]
fn conforms_without_sync() {
    conforms(|config| config.sync = false, Operation::Write);
}

#[test]
fn conforms_with_failing_syncs() {
    conforms(|_| (), Operation::Sync);
}

#[test]
fn conforms_with_one_file_per_batch_and_compression() {
    conforms(
        |config| {
            config.rotate_size = 1;
            config.compression = Compression::Zstd;
        },
        Operation::Create,
    );
}
