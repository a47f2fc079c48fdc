//! The suite that every sink runs.

use std::cell::RefCell;
use std::sync::Weak;

use iem_sink::testing::{Backend, Stored, conformance};

use super::*;
use crate::disk::Operation;
use crate::root::Root;

struct Files {
    config: FileConfig,
    /// Of the sink that is open. Weak, so that it does not keep the folder locked.
    root: RefCell<Weak<Root>>,
    /// What fails while the backend is broken.
    fault: Operation,
}

impl Backend for Files {
    fn open(&self) -> Box<dyn Sink> {
        let sink = open(&self.config);
        self.root.replace(std::sync::Arc::downgrade(&sink.root));
        Box::new(sink)
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        let stored = |line: &String| {
            let mut attributes = members(line);
            let data = attributes.remove("data").unwrap().get().into();
            let plain = |(name, value): (String, Box<RawValue>)| {
                (name, serde_json::from_str(value.get()).unwrap())
            };
            Stored {
                attributes: attributes.into_iter().map(plain).collect(),
                data,
            }
        };
        read_topic(&self.config.path, topic)
            .iter()
            .map(stored)
            .collect()
    }

    fn joins_lines(&self) -> bool {
        true
    }

    fn interrupt(&self, _topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
        let root = self.root.borrow().upgrade().unwrap();
        root.disk.faults.fail(self.fault, usize::MAX);
        Some(Box::new(move || root.disk.faults.heal()))
    }
}

fn conforms(change: impl FnOnce(&mut FileConfig), fault: Operation) {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    change(&mut config);
    conformance(&Files {
        config,
        root: RefCell::default(),
        fault,
    });
}

#[test]
fn conforms_as_the_gateway_starts_it() {
    let change = |config: &mut FileConfig| {
        config.rotate_size = 256 << 20;
        config.rotate_age = Duration::from_hours(1);
        config.compression = Compression::Zstd;
    };
    conforms(change, Operation::Write);
}

#[test]
fn conforms_without_sync() {
    conforms(|config| config.sync = false, Operation::Write);
}

#[test]
fn conforms_when_the_sync_fails() {
    conforms(|_| (), Operation::Sync);
}

#[test]
fn conforms_with_a_file_a_batch_and_compression() {
    let change = |config: &mut FileConfig| {
        config.rotate_size = 1;
        config.compression = Compression::Zstd;
    };
    conforms(change, Operation::Create);
}
