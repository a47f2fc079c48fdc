//! The labels and annotations of an alert that feed the fields of its event.

use std::borrow::Cow;

use crate::record::fields::Value;

/// The names of labels or annotations, the preferred one first.
pub type Names = Box<[Box<str>]>;

/// The labels and annotations that feed the fields of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertMapping {
    /// The labels for the severity.
    pub severity: Names,
    /// The severity of an alert without any of them.
    pub default_severity: Box<str>,
    /// The labels for the entity.
    pub entity: Names,
    /// The labels for the parameter: what is wrong with the entity.
    pub parameter: Names,
    /// The annotations for the description.
    pub description: Names,
    /// The annotations for the messages.
    pub messages: Names,
}

/// The value that a field takes: that of the first of its names that has one.
pub(super) struct Choice<'n, 'v> {
    names: &'n Names,
    /// The place among the names of the value so far.
    rank: usize,
    value: Option<Cow<'v, str>>,
}

impl<'n, 'v> Choice<'n, 'v> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            names,
            rank: names.len(),
            value: None,
        }
    }

    /// Takes the value of a label or annotation if no preferred one has been met. An empty value is
    /// none, as at Prometheus.
    pub(super) fn meet(&mut self, name: &str, value: &Value<'v>) {
        let rank = self.names.iter().position(|wanted| **wanted == *name);
        if let Some(rank) = rank
            && rank <= self.rank
            && let Value::String(text) = value
            && !text.is_empty()
        {
            self.rank = rank;
            self.value = Some(text.clone());
        }
    }

    pub(super) fn into_value(self) -> Option<Cow<'v, str>> {
        self.value
    }
}
