//! Numbers that a sink keeps of its own work, each with name, unit and type. They never carry a
//! record's data, and no value of a label comes from a client.

/// One number that a sink exports as a metric.
///
/// Statistics of one name differ only in label value and value; name, help text and kind are
/// the same in every call of [`Sink::statistics`](crate::Sink::statistics).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistic {
    /// The metric's name without the prefix of gateway and sink: the unit stands last
    /// (`round_trip_seconds`), and a counter ends in `_total` (`sync_seconds_total`).
    pub name: &'static str,
    /// The metric's help text.
    pub help: &'static str,
    /// Whether the value only grows.
    pub kind: StatisticKind,
    /// A label's name and its value, one of a fixed set.
    pub label: Option<(&'static str, &'static str)>,
    /// The value, in seconds, bytes or a count.
    pub value: f64,
}

/// The type of a statistic's metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticKind {
    /// A total since the sink was opened; it never falls.
    Counter,
    /// A value of the moment.
    Gauge,
}

impl Statistic {
    /// Creates a counter without a label.
    pub const fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, help, StatisticKind::Counter, value)
    }

    /// Creates a gauge without a label.
    pub const fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, help, StatisticKind::Gauge, value)
    }

    const fn new(name: &'static str, help: &'static str, kind: StatisticKind, value: f64) -> Self {
        Self {
            name,
            help,
            kind,
            label: None,
            value,
        }
    }

    /// Adds a label.
    #[must_use]
    pub const fn with_label(self, name: &'static str, value: &'static str) -> Self {
        Self {
            label: Some((name, value)),
            ..self
        }
    }
}
