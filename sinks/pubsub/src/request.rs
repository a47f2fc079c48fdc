//! Requests of a call: records that go to Pub/Sub together and share the answer.

use std::sync::Arc;
use std::time::Instant;

use google_cloud_pubsub::model::Message;
use iem_sink::{DeliveryToken, Record};

use crate::client::{CallGuard, Client};
use crate::message::{REQUEST_BYTES, REQUEST_MESSAGES, message};
use crate::suspects::Source;

/// A call of the writer: the client that it uses, and its time limit.
pub(crate) struct Call {
    pub(crate) client: Arc<Client>,
    pub(crate) deadline: Instant,
    _under_way: CallGuard,
}

impl Call {
    pub(crate) fn new(client: Arc<Client>, deadline: Instant) -> Self {
        Self {
            _under_way: client.begin_call(),
            client,
            deadline,
        }
    }
}

/// A record in flight.
pub(crate) struct Sent {
    pub(crate) token: DeliveryToken,
    pub(crate) record: Record,
}

/// Records that are sent in one request.
pub(crate) struct Request {
    pub(crate) call: Arc<Call>,
    pub(crate) sent: Vec<Sent>,
    /// The records' messages, until they are sent.
    messages: Vec<Message>,
    bytes: usize,
    /// The source of its records, if they go apart from those of others.
    source: Option<Source>,
}

impl Request {
    pub(crate) fn new(call: Arc<Call>, source: Option<Source>) -> Self {
        Self {
            call,
            sent: Vec::new(),
            messages: Vec::new(),
            bytes: 0,
            source,
        }
    }

    /// Returns whether a message of this source and size still belongs here.
    pub(crate) fn takes(&self, source: Option<Source>, bytes: usize) -> bool {
        self.source == source
            && self.sent.len() < REQUEST_MESSAGES as usize
            && self.bytes + bytes <= REQUEST_BYTES as usize
    }

    pub(crate) fn push(&mut self, sent: Sent, message: Message, bytes: usize) {
        self.sent.push(sent);
        self.messages.push(message);
        self.bytes += bytes;
    }

    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = DeliveryToken> {
        self.sent.iter().map(|sent| sent.token)
    }

    pub(crate) fn data_bytes(&self) -> usize {
        self.sent.iter().map(|sent| sent.record.data.len()).sum()
    }

    /// Splits a request that was sent into about as many parts, to be sent again.
    pub(crate) fn split(mut self, parts: usize, path: &str, ordered: bool) -> Vec<Self> {
        let size = self.sent.len().div_ceil(parts);
        let mut requests = Vec::with_capacity(parts);
        while !self.sent.is_empty() {
            let rest = self.sent.split_off(size.min(self.sent.len()));
            let mut part = Self::new(self.call.clone(), self.source);
            for sent in std::mem::replace(&mut self.sent, rest) {
                // It was a message before.
                if let Ok((message, bytes)) = message(&sent.record, path, ordered) {
                    part.push(sent, message, bytes);
                }
            }
            requests.push(part);
        }
        requests
    }
}
