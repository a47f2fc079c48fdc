//! The faults of a notification of Alertmanager. The messages begin with the field.

/// The fault of a notification that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertFault {
    /// Another version of the payload, or none.
    #[error("`version` must be \"4\", as Alertmanager's webhook sends it")]
    Version,
    /// No array of alerts, or an empty one.
    #[error("`alerts` must be an array of at least one alert")]
    NoAlerts,
    /// An alert that is no object.
    #[error("`alerts` must hold JSON objects alone")]
    NotAnAlert,
    /// A state of an alert that is neither of the two.
    #[error("`status` of an alert must be firing or resolved")]
    Status,
    /// A field that every alert has is not there, or is empty.
    #[error("`fingerprint` of an alert must be a non-empty string")]
    Fingerprint,
    /// Labels or annotations that are no object of strings.
    #[error("`{field}` of an alert must be a JSON object of strings")]
    NotStrings {
        /// The name of the field.
        field: &'static str,
    },
    /// A field that is no string.
    #[error("`{field}` must be a string")]
    NotText {
        /// The name of the field.
        field: &'static str,
    },
    /// A field is given twice.
    #[error("`{field}` is given more than once; send it once")]
    Repeated {
        /// The name of the field.
        field: &'static str,
    },
}
