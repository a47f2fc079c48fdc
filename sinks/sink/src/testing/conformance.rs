//! The conformance suite: the behaviour that every sink must have, whatever its backend.
//!
//! A sink crate implements [`Backend`] for its tests and calls [`conformance`] from a test. A case
//! that fails panics with its name and the expectation.

mod backend;
mod cases;
mod rig;

pub use self::backend::{Backend, Stored};
use self::rig::Rig;

/// Runs every case against `backend`, each on a topic of its own.
///
/// # Panics
/// The sink does not keep the contract.
pub fn conformance(backend: &dyn Backend) {
    for (name, case) in cases::ALL {
        eprintln!("conformance: {name}");
        let topic = backend.create_topic(name);
        case(&Rig { backend, topic });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scripted::{Behaviour, ScriptedSink};
    use crate::{Sink, SinkError};

    /// The scripted sink, a fault that is applied to the records read back, and the limit of its
    /// topics.
    struct Scripted(ScriptedSink, fn(&mut Vec<Stored>), Option<usize>);

    impl Backend for Scripted {
        fn open(&self) -> Box<dyn Sink> {
            Box::new(self.0.clone())
        }

        fn create_topic(&self, case: &str) -> String {
            self.0.set_limit(case, self.2);
            case.to_owned()
        }

        fn read(&self, topic: &str) -> Vec<Stored> {
            let rig = Rig {
                backend: self,
                topic: topic.to_owned(),
            };
            let mut stored = self
                .0
                .log(topic)
                .delivered
                .iter()
                .map(|record| rig.as_stored(record))
                .collect();
            self.1(&mut stored);
            stored
        }

        fn interrupt(&self, topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
            self.0
                .set(topic, Behaviour::Fail(SinkError::transient("interrupted")));
            let topic = topic.to_owned();
            Some(Box::new(move || self.0.set(&topic, Behaviour::Deliver)))
        }
    }

    #[test]
    fn the_scripted_sink_conforms() {
        for limit in [None, Some(1 << 20)] {
            conformance(&Scripted(ScriptedSink::new(), |_| (), limit));
        }
    }

    #[test]
    fn a_sink_that_changes_records_does_not_conform() {
        let faults: [fn(&mut Vec<Stored>); 5] = [
            |stored| drop(stored.pop()),
            |stored| stored.extend(stored.last().cloned()),
            |stored| stored.reverse(),
            |stored| stored.iter_mut().for_each(|stored| stored.data.push(b' ')),
            |stored| {
                for stored in stored {
                    stored.attributes.remove("user");
                }
            },
        ];
        for fault in faults {
            let backend = Scripted(ScriptedSink::new(), fault, None);
            let run =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| conformance(&backend)));
            assert!(run.is_err());
        }
    }
}
