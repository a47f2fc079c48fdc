//! The most memory that the gateway can use, from its configuration alone.
//!
//! The sum is a ceiling, not a forecast: every connection open, every queue and cache full, every
//! thread at the worst body at once. It leaves out the operating system's memory for sockets and
//! cached files.

use bytesize::ByteSize;
use serde::Serialize;

use super::http2::PEERS_PART;
use super::server::{PARSE_IN_PLACE_MAX, Server};
use super::topic::{BATCHES_IN_FLIGHT, REJECTED_BYTES, REJECTED_RECORDS};
use super::{Compression, Config, DirectoryKind, Http2, SinkKind, Topic};
use crate::encoding;
use crate::record::{KEY_VALUE_BYTES_MAX, TAPE_BYTES_PER_BODY_BYTE, TAPE_KEPT_BYTES_MAX};
use crate::shares::queue_size;

/// A connection without its heads: its task with the request being served, its write buffer, its
/// bookkeeping.
const CONNECTION_BYTES: usize = 32 << 10;
/// Buffers of a head's size that a connection may hold: the head that is being answered, the chunk
/// of its body that hyper has read, the bytes behind it, and as much of a large answer as hyper
/// copies at once.
const CONNECTION_HEADS: usize = 4;
/// One header without its bytes: its slot in the map of a head, which doubles when it grows.
const HEADER_BYTES: usize = 256;
/// A connection's buffers for TLS: a record each way, and bytes that the client has not taken yet.
const TLS_BYTES: usize = 64 << 10;
/// A connection over HTTP/2 without its windows, its head and its streams: frames each way, header
/// tables, bookkeeping.
const HTTP2_CONNECTION_BYTES: usize = 64 << 10;
/// Multiples of a head's size that an incomplete head over HTTP/2 may take: the library rejects
/// more.
const HTTP2_HEADS: usize = 4;
/// A stream: its bookkeeping, and its response until the client has taken it.
const HTTP2_STREAM_BYTES: usize = 2 << 10;
/// A request being answered over HTTP/2, without its head. A head of many short fields takes four
/// times its size.
const HTTP2_REQUEST_BYTES: usize = 16 << 10;
/// A waiting record without its data and its ordering key: its slot, its attributes, its request's
/// context and the acknowledgement.
const RECORD_BYTES: usize = 512;
/// Bytes of a slot in a channel to a worker, which are there from the start.
const CHANNEL_SLOT_BYTES: usize = 16;
/// A record being parsed, without its data and its key: the fields found of it, twice while the list
/// of records grows, and its slot.
const READ_RECORD_BYTES: usize = 384;
/// An event of `CloudEvents` being parsed, without its data and its texts: its place in the body
/// and its attributes, twice while the lists grow, and with it the record that comes of it.
const READ_EVENT_BYTES: usize = 1 << 10;
/// The fewest bytes of the body that a record takes, and an event.
const RECORD_BYTES_MIN: usize = 20;
const EVENT_BYTES_MIN: usize = 80;
/// A record in a batch, as a sink writes it, without its data: its attributes.
const ENVELOPE_BYTES: usize = 1 << 10;
/// A verified token or credential in a cache.
const CACHE_ENTRY_BYTES: usize = 512;
/// A running password hash, at the highest cost that the directory accepts.
pub const PASSWORD_HASH_BYTES: usize = 64 << 20;
/// The memory of logins: failures by user and peer, and by network, twice, and who has succeeded
/// where.
const LOGIN_BYTES: usize = 48 << 20;
/// The memory for what other gateways on the directory are told: used refresh tokens, failed log-ins,
/// the demand of customers; as it is kept and as rows.
const TOLD_BYTES: usize = 32 << 20;
/// An idempotency key: its entry in the order of its user's, its slot in a table that doubles.
const IDEMPOTENCY_KEY_BYTES: usize = 160;
/// The series of one customer.
const CUSTOMER_SERIES_BYTES: usize = 2 << 10;
/// The compression of one closed file.
const COMPRESSION_BYTES: usize = 16 << 20;
/// Records larger than a batch that a worker may have in flight beside its batches.
const LARGE_IN_FLIGHT: usize = 2;
/// A span that waits for the collector of traces, or is sent to it.
const SPAN_BYTES: usize = 2 << 10;
/// The times of a traced request, at one worker.
const TIMELINE_BYTES: usize = 2 << 10;
/// The most spans that wait for the collector of traces.
pub const SPANS_WAITING_MAX: usize = 4096;
/// The most spans that are sent to it at once.
pub const SPANS_OF_BATCH_MAX: usize = 512;
/// A thread's stack.
const STACK_BYTES: usize = 2 << 20;
/// The program itself, the directory, the log lines waiting and the allocator's slack.
const BASE_BYTES: usize = 64 << 20;

/// Threads of a journal: writer, forwarder, and the one that makes spare files.
const JOURNAL_THREADS: usize = 3;
/// Buffers of a journal that each have a commit: encoded requests, payload and commit of the writer,
/// the commit that was read, and its records.
const JOURNAL_BUFFERS: usize = 6;
/// The records of one commit, if no request alone has more.
const COMMIT_BYTES: usize = 1 << 20;
/// The most records of a journal's last commits that its forwarder need not read.
pub const FRESH_RECORDS_MAX: usize = 8_192;
/// The records of a journal that are held back, and its settled ranges.
const PARKED_BYTES: usize = 16 << 20;

/// The requests that a journal keeps although nobody waits for their last outcomes any more.
const GONE_BYTES: usize = 2 << 20;

/// The console: the moments of a minute, its pages and their latest messages, the latest refusals, and
/// what a replay of dead letters has under way.
const CONSOLE_BYTES: usize = 32 << 20;
/// The moments of which the records of each customer are kept, and the bytes of a customer in one.
const CONSOLE_MOMENTS: usize = 7;
const TOTALS_BYTES: usize = 48;

/// The keys of an issuer in use and those that replace them, and the documents that hold them.
const OIDC_BYTES: usize = 4 << 20;

/// The admin listener: its connections over TLS with their buffers, and a body each.
const ADMIN_BYTES: usize = 24 << 20;

/// The memory for the bodies of requests without credentials, of which each is at most 16 KiB.
pub const STRANGERS_BYTES: usize = 16 << 20;

/// The uses of memory, and their sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryCeiling {
    /// Each use.
    pub items: Vec<MemoryItem>,
    /// Their sum in bytes.
    pub bytes: usize,
}

/// One use of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryItem {
    /// The name of the use.
    pub name: &'static str,
    /// Bytes at most.
    pub bytes: usize,
}

impl Config {
    /// Returns the most memory that this configuration lets the gateway use. The configuration's
    /// limits keep the sum far below `usize::MAX`.
    pub fn memory_ceiling(&self) -> MemoryCeiling {
        let server = &self.server;
        let items = [
            (
                "connections",
                server.max_connections * server.connection_bytes(),
            ),
            (
                "more for connections over HTTP/2",
                server.http2_connection_bytes(),
            ),
            ("requests over HTTP/2", server.http2_request_bytes()),
            ("bodies being read and records waiting", server.memory),
            ("bodies without credentials", STRANGERS_BYTES),
            ("admin listener", ADMIN_BYTES),
            (
                "console",
                CONSOLE_BYTES + CONSOLE_MOMENTS * self.metrics.customer_series * TOTALS_BYTES,
            ),
            ("slots of queues and batches", self.slot_bytes()),
            ("write buffers", self.write_buffer_bytes()),
            ("journals", self.journal_bytes()),
            ("rejected records to be kept", self.rejected_bytes()),
            ("parsing", self.parsing_bytes()),
            (
                "decoders before they are counted",
                server.threads * encoding::STATE_BYTES_MAX,
            ),
            (
                "token, credential and session caches",
                3 * self.tokens.cache_entries * CACHE_ENTRY_BYTES,
            ),
            ("memory of logins", LOGIN_BYTES),
            (
                "what other gateways are told",
                match self.directory.kind {
                    DirectoryKind::File => 0,
                    DirectoryKind::Postgres => TOLD_BYTES,
                },
            ),
            (
                "idempotency keys",
                self.idempotency.keys * IDEMPOTENCY_KEY_BYTES,
            ),
            (
                "password hashes",
                server.password_permits() * PASSWORD_HASH_BYTES,
            ),
            (
                "series of customers",
                self.metrics.customer_series * CUSTOMER_SERIES_BYTES,
            ),
            (
                "keys of the issuer of external tokens",
                OIDC_BYTES * usize::from(self.oidc.is_on()),
            ),
            ("traces", self.trace_bytes()),
            ("compression", self.compression_bytes()),
            ("stacks of threads", self.stack_bytes()),
            ("program", BASE_BYTES),
        ]
        .map(|(name, bytes)| MemoryItem { name, bytes });
        MemoryCeiling {
            bytes: items.iter().map(|item| item.bytes).sum(),
            items: items.into(),
        }
    }

    /// Returns the bytes of spans that have ended, those that wait and a batch, and of the times of
    /// requests and of records of journals that are traced.
    fn trace_bytes(&self) -> usize {
        if !self.traces.is_on() {
            return 0;
        }
        // A batch is there twice more while it is encoded and sent.
        let spans = SPANS_WAITING_MAX + 3 * SPANS_OF_BATCH_MAX;
        let seconds = self.server.request_timeout.as_secs().max(1);
        let seconds = usize::try_from(seconds).unwrap_or(usize::MAX);
        let workers = self.topics.iter().map(|topic| topic.workers);
        let workers = workers.max().unwrap_or(1);
        let requests = seconds * self.traces.max_per_second as usize * workers;
        let journaled = self.count_topics(Topic::is_journaled);
        let records = journaled * queue_size(2 * self.journal.window_records);
        spans * SPAN_BYTES + (requests + records) * TIMELINE_BYTES
    }

    /// Returns the bytes of all places for records in queues, channels and batches.
    fn slot_bytes(&self) -> usize {
        self.topics
            .iter()
            .map(|topic| {
                let queue = queue_size(topic.queue_records);
                let records = queue + topic.workers * topic.batch_records;
                let channels = topic.workers * queue;
                records * (RECORD_BYTES + KEY_VALUE_BYTES_MAX) + channels * CHANNEL_SLOT_BYTES
            })
            .sum()
    }

    /// Returns the bytes that journals hold: two windows on their way to the sink, what is held back,
    /// the buffers of a writer and a reader, each of a commit of the largest body, and the places of
    /// the last commits, whose bodies count in `server.memory`.
    fn journal_bytes(&self) -> usize {
        let journal = &self.journal;
        let records = queue_size(2 * journal.window_records) + queue_size(FRESH_RECORDS_MAX);
        let slots = records * (RECORD_BYTES + KEY_VALUE_BYTES_MAX + CHANNEL_SLOT_BYTES);
        let buffers = JOURNAL_BUFFERS * (self.server.max_body + COMMIT_BYTES);
        let each = 2 * journal.window_bytes + slots + buffers + PARKED_BYTES + GONE_BYTES;
        self.count_topics(Topic::is_journaled) * each
    }

    /// Returns the bytes of records that wait to be kept among the dead letters, and of the lines
    /// that are written of some of them.
    fn rejected_bytes(&self) -> usize {
        let slots = queue_size(REJECTED_RECORDS) * (RECORD_BYTES + KEY_VALUE_BYTES_MAX);
        let lines = 2 * self.rejected_queue_bytes();
        let each = self.rejected_queue_bytes() + slots + lines;
        self.count_topics(Topic::has_rejected_queue) * each
    }

    /// Returns the most bytes of one topic's records that its sink has refused and that wait to be
    /// kept.
    pub fn rejected_queue_bytes(&self) -> usize {
        REJECTED_BYTES.max(self.server.max_body)
    }

    fn count_topics(&self, wanted: fn(&Topic) -> bool) -> usize {
        self.topics.iter().filter(|topic| wanted(topic)).count()
    }

    /// Returns the bytes that the sinks copy of what is in flight.
    fn write_buffer_bytes(&self) -> usize {
        self.topics
            .iter()
            .map(|topic| {
                let (batches, large, copies) = topic.sink.buffers();
                let data = batches * topic.batch_bytes + large * self.server.max_body;
                let records = batches * topic.batch_records;
                topic.workers * copies * (data + records * ENVELOPE_BYTES)
            })
            .sum()
    }

    /// Returns the bytes of the bodies that all threads parse at once, beside those that count in
    /// `server.memory`.
    fn parsing_bytes(&self) -> usize {
        let server = &self.server;
        let in_place = server.max_body.min(PARSE_IN_PLACE_MAX);
        let serving = self.parsed_bytes(in_place) + in_place * TAPE_BYTES_PER_BODY_BYTE;
        // A tape of the parse pool counts in `server.memory`, but for the part that a thread keeps.
        let pool = self.parsed_bytes(server.max_body) + TAPE_KEPT_BYTES_MAX;
        server.threads * serving + server.parse_threads() * pool
    }

    /// Returns the bytes of the records or events that come of one body. The keys of all take no
    /// more than the body, nor do the texts of events whose escapes are resolved.
    fn parsed_bytes(&self, body: usize) -> usize {
        let records = self.topics.iter().map(|topic| topic.queue_records).max();
        let records = records.unwrap_or_default();
        let of_records = records.min(body / RECORD_BYTES_MIN) * READ_RECORD_BYTES;
        let of_events = records.min(body / EVENT_BYTES_MIN) * READ_EVENT_BYTES;
        2 * body + of_records.max(of_events)
    }

    fn compression_bytes(&self) -> usize {
        match self.sink.file.compress {
            Compression::None => 0,
            Compression::Zstd => COMPRESSION_BYTES,
        }
    }

    fn stack_bytes(&self) -> usize {
        let server = &self.server;
        let workers: usize = self.topics.iter().map(|topic| topic.workers).sum();
        let journals = JOURNAL_THREADS * self.count_topics(Topic::is_journaled);
        let rejected = self.count_topics(Topic::has_rejected_queue);
        let http = server.threads + server.parse_threads() + server.password_permits();
        // That of the traces, and one that looks up the collector's name.
        let traces = 2 * usize::from(self.traces.is_on());
        // That which fetches the issuer's keys, and one that looks up its name.
        let oidc = 2 * usize::from(self.oidc.is_on());
        (http + workers + journals + rejected + traces + oidc) * STACK_BYTES
    }
}

impl Server {
    /// Returns the bytes of one connection over HTTP/1.1.
    fn connection_bytes(&self) -> usize {
        let tls = if self.tls.is_on() { TLS_BYTES } else { 0 };
        tls + self.http1_bytes()
    }

    fn http1_bytes(&self) -> usize {
        CONNECTION_HEADS * self.max_header + self.max_headers * HEADER_BYTES + CONNECTION_BYTES
    }

    /// Returns the bytes that the connections which may speak HTTP/2 take beyond others.
    fn http2_connection_bytes(&self) -> usize {
        let Http2 {
            enabled,
            max_connections,
            max_streams,
            connection_window,
            ..
        } = self.http2;
        let each = HTTP2_CONNECTION_BYTES
            + connection_window
            + HTTP2_HEADS * self.max_header
            + max_streams * HTTP2_STREAM_BYTES;
        let connections = if enabled {
            let of_all_peers = max_connections + max_connections.div_ceil(PEERS_PART);
            of_all_peers.min(self.max_connections)
        } else {
            0
        };
        connections * each.saturating_sub(self.http1_bytes())
    }

    fn http2_request_bytes(&self) -> usize {
        let requests = if self.http2.enabled {
            self.http2.max_requests + self.http2.max_requests.div_ceil(PEERS_PART)
        } else {
            0
        };
        requests * (HTTP2_HEADS * self.max_header + HTTP2_REQUEST_BYTES)
    }
}

impl SinkKind {
    /// Returns how many of a worker's batches a sink may have copied at once, how many records larger
    /// than a batch beside them, and how often.
    fn buffers(self) -> (usize, usize, usize) {
        match self {
            // As lines, and compressed.
            Self::File => (1, 1, 2),
            // As messages, and in the requests that carry them.
            Self::Kafka => (BATCHES_IN_FLIGHT, LARGE_IN_FLIGHT, 2),
            // As messages, as the request, and as what the connection has not sent yet.
            Self::PubSub => (BATCHES_IN_FLIGHT, LARGE_IN_FLIGHT, 3),
        }
    }
}

impl MemoryCeiling {
    /// Formats the sum for people.
    pub fn size(&self) -> String {
        size(self.bytes)
    }
}

impl MemoryItem {
    /// Formats the bytes for people.
    pub fn size(&self) -> String {
        size(self.bytes)
    }
}

fn size(bytes: usize) -> String {
    ByteSize::b(bytes as u64).display().iec().to_string()
}
