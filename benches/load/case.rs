//! A case: the sides that take turns, and the goals that their measurements are held against.

use std::fmt;

use serde::Serialize;

use super::body::{Body, Coding};

/// Sides that are measured in turns, each under a load of its own.
#[derive(Clone, Debug)]
pub struct Case {
    pub group: Group,
    pub name: String,
    /// The first side is the subject of the case.
    pub sides: Vec<Side>,
    pub goals: Vec<Goal>,
    /// The position of the case on its group's axis.
    pub at: Option<f64>,
    /// Whether a short run measures the case too.
    pub quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Group {
    Sinks,
    Sizes,
    Connections,
    Many,
    Rates,
    Keys,
    Console,
    Journal,
    Scale,
    Start,
}

#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub part: Part,
    pub task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Part {
    /// The side that the case is about.
    Subject,
    /// A side that the subject is compared with. Several bases are added up.
    Base,
    /// A side that is measured in the same turns, for information only.
    Beside,
}

/// The task of a side.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// A server under load.
    Served(Serving, Load),
    /// A worker that does one piece of work as often as it can.
    Alone(Alone),
    /// The start of a server, until it is ready.
    Start(Serving),
    /// The forwarding of [`BACKLOG`] records from a gateway's journal, once its broker is back.
    Forward(Setup),
}

#[derive(Clone, Copy, Debug)]
pub enum Serving {
    Hyper,
    Gateway(Setup),
}

#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub sink: Sink,
    /// Whether the topic has a journal in front of the sink.
    pub has_journal: bool,
    /// The users of the directory, as many as customers, each with a token in use.
    pub users: usize,
    /// Whether somebody looks at the console.
    pub is_watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Delivers at once, and writes nothing.
    Null,
    /// Delivers after 30 ms, and writes nothing.
    NullFar,
    File,
    FileSynced,
    Kafka,
    /// Kafka behind a delay of 30 ms each way.
    KafkaFar,
    PubSub,
}

/// The workers of a topic at [`Sink::KafkaFar`], and its partitions.
pub const WORKERS_FAR: usize = 8;

/// The records of a journal's backlog.
pub const BACKLOG: usize = 300_000;

/// The work of a client library without a gateway.
#[derive(Clone, Copy, Debug)]
pub enum Alone {
    Kafka,
    /// librdkafka with the broker of [`Sink::KafkaFar`].
    KafkaFar,
    /// librdkafka with [`BACKLOG`] records in memory, all sent at once.
    KafkaBacklog,
    PubSub,
    Decode(Body),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub body: Body,
    pub connections: usize,
    pub rate: Rate,
    /// Whether each request has an idempotency key of its own.
    pub has_key: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// A closed loop: each connection sends its next request when it has the answer to the last.
    Closed,
    /// A constant rate: this share of the subject's requests a second in a closed loop.
    Share(f64),
}

/// An aim of the project for the subject of a case.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Goal {
    /// CPU time a record at most, as a multiple of the base's.
    Cpu(f64),
    /// CPU time a record at most, in microseconds beyond the base's.
    MoreMicros(f64),
    /// CPU time a record at most, in microseconds.
    RecordMicros(f64),
    /// Records a second at least.
    RecordsPerSecond(f64),
    /// Records a second at least, as a multiple of the base's.
    Rate(f64),
    /// The 99th percentile of the waits at most, as a multiple of the base's.
    P99(f64),
    /// The median wait at most, in seconds. A start counts as a request.
    Seconds(f64),
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sinks => "One event a request, to each sink",
            Self::Sizes => "Sizes of a record, to files without a sync",
            Self::Connections => "Connections, to files without a sync",
            Self::Many => "Many records a request",
            Self::Rates => "Constant arrival rate, as a share of what saturates the gateway",
            Self::Keys => "An idempotency key with each request, to files without a sync",
            Self::Console => "The console open, to files without a sync",
            Self::Journal => "A journal in front of the sink",
            Self::Scale => "Many users, many connections",
            Self::Start => "Cold start, from the program's start to ready",
        })
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka | Self::KafkaFar | Self::KafkaBacklog => "librdkafka alone",
            Self::PubSub => "Google's publisher alone",
            Self::Decode(Body {
                coding: Coding::Plain,
                ..
            }) => "a copy alone",
            Self::Decode(Body {
                coding: Coding::Gzip,
                ..
            }) => "zlib-rs alone",
            Self::Decode(Body {
                coding: Coding::Zstd,
                ..
            }) => "zstd alone",
        })
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Gateway(setup) = self else {
            return f.write_str("bare hyper");
        };
        f.write_str("gateway")?;
        if setup.is_watched {
            f.write_str(", watched")?;
        }
        match setup.users {
            1 => Ok(()),
            users => write!(f, ", {users} users"),
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_journal {
            f.write_str("journal, ")?;
        }
        if self.is_watched {
            f.write_str("watched, ")?;
        }
        self.sink.fmt(f)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connections {
            1 => write!(f, "{}, 1 connection", self.body),
            connections => write!(f, "{}, {connections} connections", self.body),
        }?;
        if self.has_key {
            f.write_str(", keys")?;
        }
        Ok(())
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null sink",
            Self::NullFar => "null sink, 30 ms",
            Self::File => "file",
            Self::FileSynced => "file, synced",
            Self::Kafka => "Kafka",
            Self::KafkaFar => "Kafka, 30 ms each way",
            Self::PubSub => "Pub/Sub",
        })
    }
}
