//! Alertmanager's alerts as events: `[alertmanager]`.

use serde::Deserialize;

use crate::record::AlertMapping;

/// `[alertmanager]`: the labels and annotations that feed the fields of an event.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Alertmanager {
    /// The labels for `severity`.
    pub severity: Vec<String>,
    /// `severity` of an alert without any of them.
    pub default_severity: String,
    /// The labels for `entity` and `entityid`.
    pub entity: Vec<String>,
    /// The labels for `parametername` and `parameterid`.
    pub parameter: Vec<String>,
    /// The annotations for `description`.
    pub description: Vec<String>,
    /// The annotations for `messages`.
    pub messages: Vec<String>,
}

impl Alertmanager {
    /// Returns the lists of names with their keys.
    pub(super) fn names(&self) -> [(&'static str, &[String]); 5] {
        [
            ("alertmanager.severity", &self.severity),
            ("alertmanager.entity", &self.entity),
            ("alertmanager.parameter", &self.parameter),
            ("alertmanager.description", &self.description),
            ("alertmanager.messages", &self.messages),
        ]
    }

    /// Returns the mapping that records are made by.
    pub fn mapping(&self) -> AlertMapping {
        AlertMapping {
            severity: boxed(&self.severity),
            default_severity: self.default_severity.as_str().into(),
            entity: boxed(&self.entity),
            parameter: boxed(&self.parameter),
            description: boxed(&self.description),
            messages: boxed(&self.messages),
        }
    }
}

fn boxed(names: &[String]) -> Box<[Box<str>]> {
    names.iter().map(|name| name.as_str().into()).collect()
}
