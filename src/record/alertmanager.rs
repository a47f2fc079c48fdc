//! Reads a notification of Prometheus' Alertmanager, as its webhook sends it, and makes an event of
//! each alert. The labels and the annotations stay as they were sent.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.

mod fault;
mod mapping;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::body::{BodyFault, trimmed};
use super::fields::Value;
use super::malformed::Malformed;
use super::members::Members;
use super::text;

pub use fault::AlertFault;
pub use mapping::AlertMapping;

use mapping::Choice;

/// The version of the payload.
const VERSION: &str = "4";

const PAYLOAD: [&str; 5] = ["version", "alerts", "receiver", "groupKey", "externalURL"];

const ALERT: [&str; 7] = [
    "status",
    "labels",
    "annotations",
    "startsAt",
    "endsAt",
    "generatorURL",
    "fingerprint",
];

/// The end of an alert that has none yet: Go's zero time.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// The alerts of a notification.
#[derive(Debug)]
pub struct Alerts<'b> {
    alerts: Vec<&'b [u8]>,
    group: Group<'b>,
}

/// The fields that all alerts of a notification share.
#[derive(Debug)]
struct Group<'b> {
    receiver: Option<Cow<'b, str>>,
    key: Option<Cow<'b, str>>,
    url: Option<Cow<'b, str>>,
}

/// The event of an alert: a record of the topic of events.
#[derive(Debug, Serialize)]
pub struct AlertEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    parametername: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameterid: Option<Cow<'a, str>>,
    severity: Cow<'a, str>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entityid: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    createdon: Option<Cow<'a, str>>,
    toolmanager: &'static str,
    manageragent: &'static str,
    envcustomerid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    firstoccurrence: Option<Cow<'a, str>>,
    splitby: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<&'a str>,
    #[serde(rename = "groupKey", skip_serializing_if = "Option::is_none")]
    group_key: Option<&'a str>,
    #[serde(rename = "externalURL", skip_serializing_if = "Option::is_none")]
    external_url: Option<&'a str>,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<Cow<'a, str>>,
    #[serde(rename = "startsAt", skip_serializing_if = "Option::is_none")]
    starts_at: Option<Cow<'a, str>>,
    #[serde(rename = "endsAt", skip_serializing_if = "Option::is_none")]
    ends_at: Option<Cow<'a, str>>,
    labels: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a RawValue>,
}

/// The state of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

impl<'b> Alerts<'b> {
    /// Reads a notification of at most `max` alerts, without the alerts themselves.
    ///
    /// # Errors
    /// The first fault in the grammar of the whole body; without one, the fault of a field; too
    /// many alerts.
    pub fn read(body: &'b [u8], max: usize) -> Result<Self, BodyFault> {
        let (alerts, group) = payload(body).map_err(|malformed| BodyFault::Malformed {
            record: None,
            malformed,
        })?;
        // The grammar holds, so there is nothing that reading the elements can find.
        let alerts = text::elements(alerts.as_bytes(), max).unwrap_or_default();
        match alerts.len() {
            0 => Err(BodyFault::Malformed {
                record: None,
                malformed: AlertFault::NoAlerts.into(),
            }),
            count if count > max => Err(BodyFault::TooMany),
            _ => Ok(Self { alerts, group }),
        }
    }

    /// Returns the number of alerts, at least one.
    pub fn count(&self) -> usize {
        self.alerts.len()
    }

    /// Returns the event of the alert at `index`, for a customer.
    ///
    /// # Errors
    /// The fault of a field of the alert.
    pub fn event<'a>(
        &'a self,
        index: usize,
        customer: &'a str,
        mapping: &'a AlertMapping,
    ) -> Result<AlertEvent<'a>, BodyFault> {
        let alert = self.alerts.get(index).copied().unwrap_or_default();
        self.read_alert(alert, customer, mapping)
            .map_err(|malformed| BodyFault::Malformed {
                record: Some(index),
                malformed,
            })
    }

    fn read_alert<'a>(
        &'a self,
        alert: &'a [u8],
        customer: &'a str,
        mapping: &'a AlertMapping,
    ) -> Result<AlertEvent<'a>, Malformed> {
        let Members { values, repeated } =
            Members::read(alert, &ALERT).map_err(|_| AlertFault::NotAnAlert)?;
        if let Some(field) = repeated {
            return Err(AlertFault::Repeated { field }.into());
        }
        let [
            status,
            labels,
            annotations,
            starts_at,
            ends_at,
            generator_url,
            fingerprint,
        ] = values;
        let status = match optional(status, "status")?.as_deref() {
            Some("firing") => Status::Firing,
            Some("resolved") => Status::Resolved,
            Some(_) | None => return Err(AlertFault::Status.into()),
        };
        let mut severity = Choice::new(&mapping.severity);
        let mut entity = Choice::new(&mapping.entity);
        let mut parameter = Choice::new(&mapping.parameter);
        let labels = labels.ok_or(AlertFault::NotStrings { field: "labels" })?;
        strings(labels, "labels", |name, value| {
            severity.meet(name, value);
            entity.meet(name, value);
            parameter.meet(name, value);
        })?;
        let mut description = Choice::new(&mapping.description);
        let mut messages = Choice::new(&mapping.messages);
        if let Some(annotations) = annotations {
            strings(annotations, "annotations", |name, value| {
                description.meet(name, value);
                messages.meet(name, value);
            })?;
        }
        let starts_at = optional(starts_at, "startsAt")?;
        let ends_at = optional(ends_at, "endsAt")?.filter(|end| end != NO_END);
        let fingerprint = optional(fingerprint, "fingerprint")?
            .filter(|fingerprint| !fingerprint.is_empty())
            .ok_or(AlertFault::Fingerprint)?;
        let parameter = parameter.into_value();
        let entity = entity.into_value();
        let created_on = match status {
            Status::Firing => starts_at.clone(),
            Status::Resolved => ends_at.clone(),
        };
        Ok(AlertEvent {
            parametername: parameter.clone(),
            parameterid: parameter,
            severity: severity
                .into_value()
                .unwrap_or(Cow::Borrowed(&mapping.default_severity)),
            status,
            description: description.into_value(),
            messages: messages.into_value(),
            entity: entity.clone(),
            entityid: entity,
            createdon: created_on,
            toolmanager: "prometheus",
            manageragent: "alertmanager",
            envcustomerid: customer,
            firstoccurrence: starts_at.clone(),
            splitby: fingerprint,
            receiver: self.group.receiver.as_deref(),
            group_key: self.group.key.as_deref(),
            external_url: self.group.url.as_deref(),
            generator_url: optional(generator_url, "generatorURL")?,
            starts_at,
            ends_at,
            labels: raw(labels)?,
            annotations: annotations.map(raw).transpose()?,
        })
    }
}

/// Reads the fields of a notification: its alerts as text, and what they share.
fn payload(body: &[u8]) -> Result<(&str, Group<'_>), Malformed> {
    let Members { values, repeated } = Members::read(body, &PAYLOAD)?;
    if let Some(field) = repeated {
        return Err(AlertFault::Repeated { field }.into());
    }
    let [version, alerts, receiver, key, url] = values;
    match version.map(text::as_sent) {
        Some(Value::String(version)) if version == VERSION => {}
        Some(_) | None => return Err(AlertFault::Version.into()),
    }
    let alerts = alerts
        .filter(|alerts| trimmed(alerts.as_bytes()).first() == Some(&b'['))
        .ok_or(AlertFault::NoAlerts)?;
    let group = Group {
        receiver: optional(receiver, "receiver")?,
        key: optional(key, "groupKey")?,
        url: optional(url, "externalURL")?,
    };
    Ok((alerts, group))
}

/// Returns the value of a field that is a string, if it is there.
fn optional<'v>(
    value: Option<&'v str>,
    field: &'static str,
) -> Result<Option<Cow<'v, str>>, AlertFault> {
    match value.map(text::as_sent) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(_) | Value::Other) => Err(AlertFault::NotText { field }),
    }
}

/// Passes the names and values of an object of strings to `each`.
fn strings<'v>(
    object: &'v str,
    field: &'static str,
    mut each: impl FnMut(&str, &Value<'v>),
) -> Result<(), AlertFault> {
    let mut holds = true;
    let read = text::members(object.as_bytes(), |name, value| {
        let value = text::as_sent(value);
        holds &= matches!(value, Value::String(_));
        each(name, &value);
    });
    if read.is_ok() && holds {
        Ok(())
    } else {
        Err(AlertFault::NotStrings { field })
    }
}

/// Returns a value that stays as it was sent.
fn raw(value: &str) -> Result<&RawValue, Malformed> {
    serde_json::from_str(value).map_err(|_| Malformed::NotAnObject)
}

#[cfg(test)]
mod tests;
