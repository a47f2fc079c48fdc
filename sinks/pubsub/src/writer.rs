//! The writer of one topic: begins a call for each batch, and tells the outcomes as they come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::time::Instant;

use iem_sink::{Record, RecordLimit, Sending, Settled, SinkError, Writer};

use crate::access::Access;
use crate::connections::Connections;
use crate::delivery::Delivery;
use crate::inbox::Inbox;
use crate::keys::Keys;
use crate::message::{MAX_REQUEST_BYTES, message};
use crate::request::{Call, Request, Sent};
use crate::statistics::Statistics;
use crate::suspects::{Source, Suspects};
use crate::topics::Topics;

/// The units of a topic with ordering. Keys are spread over them by their hash.
const KEY_UNITS: usize = 64;

/// One worker's writer of one topic.
pub(crate) struct PubSubWriter {
    delivery: Arc<Delivery>,
    connections: Connections,
}

/// The records of a batch that may share requests.
#[derive(PartialEq, Eq, Hash)]
enum Group<'a> {
    /// Those of a source whose records were refused lately, or those of all others.
    Source(Option<Source>),
    /// Those of one ordering key.
    Key(&'a str),
}

impl PubSubWriter {
    pub(crate) fn new(
        access: Arc<Access>,
        topics: Arc<Topics>,
        statistics: Arc<Statistics>,
        topic: &str,
        ordered: bool,
        waker: Waker,
    ) -> Self {
        Self {
            connections: Connections::new(access.clone(), statistics.clone(), topic, !ordered),
            delivery: Arc::new(Delivery {
                path: access.path(topic),
                access,
                topics,
                statistics,
                topic: topic.to_owned(),
                ordered,
                inbox: Inbox::new(waker),
                suspects: Suspects::default(),
                keys: Keys::default(),
                has_delivered: AtomicBool::new(false),
            }),
        }
    }

    /// Returns the requests of each group. Records that Pub/Sub would refuse for their size are
    /// rejected instead.
    fn requests<'a>(
        &self,
        records: &[Sending<'a>],
        call: &Arc<Call>,
        settled: &mut Settled,
    ) -> HashMap<Group<'a>, Vec<Request>> {
        let delivery = &*self.delivery;
        let now = Instant::now();
        let mut groups: HashMap<Group<'a>, Vec<Request>> = HashMap::new();
        for &Sending { token, record } in records {
            let (message, bytes) = match message(record, &delivery.path, delivery.ordered) {
                Ok(message) => message,
                Err(reason) => {
                    settled.rejected(token, reason);
                    continue;
                }
            };
            let source = delivery.suspects.find(record, now);
            let requests = groups.entry(self.group(record, source)).or_default();
            let request = match requests.pop() {
                Some(last) if last.takes(source, bytes) => last,
                last => {
                    requests.extend(last);
                    Request::new(call.clone(), source)
                }
            };
            requests.push(request);
            if let Some(request) = requests.last_mut() {
                let record = record.clone();
                request.push(Sent { token, record }, message, bytes);
            }
        }
        groups
    }

    fn group<'a>(&self, record: &'a Record, source: Option<Source>) -> Group<'a> {
        if self.delivery.ordered {
            Group::Key(&record.key)
        } else {
            Group::Source(source)
        }
    }
}

impl Writer for PubSubWriter {
    /// With ordering, a key that waits for an answer holds up no more than its unit.
    fn unit(&self, record: &Record) -> usize {
        record.key_hash() as usize % self.units()
    }

    fn units(&self) -> usize {
        if self.delivery.ordered { KEY_UNITS } else { 1 }
    }

    fn keeps_order(&self) -> bool {
        self.delivery.ordered
    }

    fn limit(&self) -> RecordLimit {
        RecordLimit::Bytes(MAX_REQUEST_BYTES)
    }

    fn send(&mut self, records: &[Sending<'_>], deadline: Instant, settled: &mut Settled) {
        if records.is_empty() {
            return;
        }
        let client = match self.connections.client() {
            Ok(client) => client,
            Err(error) => return settled.failed(records.iter().map(|one| one.token), error),
        };
        let call = Arc::new(Call::new(client.clone(), deadline));
        let mut together = Vec::new();
        let mut keys = Vec::new();
        for (group, requests) in self.requests(records, &call, settled) {
            match group {
                Group::Source(_) => together.extend(requests),
                Group::Key(key) => {
                    if self.delivery.keys.add(key, requests) {
                        keys.push(key.into());
                    }
                }
            }
        }
        let runtime = client.runtime();
        if !together.is_empty() {
            runtime.spawn(self.delivery.clone().send_together(together));
        }
        if !keys.is_empty() {
            runtime.spawn(self.delivery.clone().send_keys(client.clone(), keys));
        }
    }

    fn settle(&mut self, settled: &mut Settled) {
        self.delivery.inbox.settle(settled);
        self.connections.drop_idle();
    }

    fn obstacle(&self, since: Instant) -> Option<SinkError> {
        self.connections.are_silent_since(since).then(|| {
            SinkError::transient(format!(
                "Pub/Sub at {} has not answered for {:.1} s",
                self.delivery.access.address(),
                since.elapsed().as_secs_f32()
            ))
        })
    }
}
