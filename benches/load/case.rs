//! What is measured: sides that take turns, and what must come of it.

use std::fmt;

use serde::Serialize;

use super::body::{Body, Coding};

/// Sides under one load each, that are measured in turns.
#[derive(Clone, Debug)]
pub struct Case {
    pub group: Group,
    pub name: String,
    /// The first is the one that the case is about.
    pub sides: Vec<Side>,
    pub goals: Vec<Goal>,
    /// Where the case stands on its group's axis.
    pub at: Option<f64>,
    /// Whether it is measured in a short run too.
    pub quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Group {
    Sinks,
    Sizes,
    Connections,
    Many,
    Rates,
    Scale,
    Start,
}

#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub part: Part,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Part {
    /// What the case is about.
    Subject,
    /// What it is compared with; several are added up.
    Base,
    /// Measured in the same turns, to be looked at.
    Beside,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A server under load.
    Served(Serving, Load),
    /// A child that does one thing as often as it can.
    Alone(Alone),
    /// A server's start, until it is ready.
    Start(Serving),
}

#[derive(Clone, Copy, Debug)]
pub enum Serving {
    Hyper,
    Gateway(Setup),
}

#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub sink: Sink,
    /// In the directory, with as many customers, and each with a token in use.
    pub users: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Has everything at once.
    Null,
    /// Has it 30 ms later.
    NullFar,
    File,
    FileSynced,
    Kafka,
    /// 30 ms away, each way.
    KafkaFar,
    PubSub,
}

/// Batches in flight to a Kafka that is far away, and its partitions.
pub const WORKERS_FAR: usize = 8;

#[derive(Clone, Copy, Debug)]
pub enum Alone {
    Kafka,
    /// As far away as [`Sink::KafkaFar`].
    KafkaFar,
    PubSub,
    Decode(Body),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub body: Body,
    pub connections: usize,
    pub rate: Rate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Each connection sends when it has its answer.
    Closed,
    /// Constant: this share of what the case's subject answers in a closed loop.
    Share(f64),
}

/// What the project says of itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Goal {
    /// CPU time, as a multiple of the base's.
    Cpu(f64),
    /// CPU time of a record, in microseconds.
    RecordMicros(f64),
    /// At least so many records a second.
    RecordsPerSecond(f64),
    /// What 99 in 100 requests wait at most, as a multiple of the base's.
    P99(f64),
    /// What a request takes, a start being one, in seconds.
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
            Self::Scale => "Many users, many connections",
            Self::Start => "Cold start, from the program's start to ready",
        })
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka | Self::KafkaFar => "librdkafka alone",
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
        let Self::Gateway(Setup { users, .. }) = self else {
            return f.write_str("bare hyper");
        };
        match users {
            1 => f.write_str("gateway"),
            users => write!(f, "gateway, {users} users"),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connections {
            1 => write!(f, "{}, 1 connection", self.body),
            connections => write!(f, "{}, {connections} connections", self.body),
        }
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
