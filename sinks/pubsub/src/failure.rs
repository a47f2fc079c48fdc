//! Failures of Pub/Sub: their kinds, and whether trying again may help.

use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::Error;
use iem_sink::SinkErrorKind;

/// The kind of a failed request, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NotFound,
    PermissionDenied,
    /// The service refuses the credential, or no token could be obtained for it.
    Unauthenticated,
    InvalidArgument,
    FailedPrecondition,
    ResourceExhausted,
    /// The answer did not come in time.
    DeadlineExceeded,
    /// The service cannot be reached, or answers that it is unavailable.
    Unavailable,
    Other,
}

impl Failure {
    /// Every kind, in the order of the enumeration.
    pub(crate) const ALL: [Self; 9] = [
        Self::NotFound,
        Self::PermissionDenied,
        Self::Unauthenticated,
        Self::InvalidArgument,
        Self::FailedPrecondition,
        Self::ResourceExhausted,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::Other,
    ];

    /// Returns the value of the label `kind`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::PermissionDenied => "permission_denied",
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidArgument => "invalid_argument",
            Self::FailedPrecondition => "failed_precondition",
            Self::ResourceExhausted => "resource_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Unavailable => "unavailable",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(error: &Error) -> Self {
        if let Some(status) = error.status() {
            return Self::of_code(status.code);
        }
        if error.is_authentication() {
            // A metadata server that is away refuses nothing.
            return if is_transient(error) {
                Self::Unavailable
            } else {
                Self::Unauthenticated
            };
        }
        if error.is_timeout() {
            return Self::DeadlineExceeded;
        }
        if error.is_connect() || error.is_transport() || error.is_io() {
            Self::Unavailable
        } else {
            Self::Other
        }
    }

    fn of_code(code: Code) -> Self {
        match code {
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::InvalidArgument => Self::InvalidArgument,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::DeadlineExceeded | Code::Cancelled => Self::DeadlineExceeded,
            Code::Unavailable => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// Tells whether trying again may help.
    pub(crate) fn kind(self) -> SinkErrorKind {
        match self {
            Self::NotFound
            | Self::PermissionDenied
            | Self::Unauthenticated
            | Self::InvalidArgument
            | Self::FailedPrecondition => SinkErrorKind::Permanent,
            Self::ResourceExhausted | Self::DeadlineExceeded | Self::Unavailable | Self::Other => {
                SinkErrorKind::Transient
            }
        }
    }
}

fn is_transient(error: &Error) -> bool {
    let source = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<CredentialsError>());
    source.is_some_and(CredentialsError::is_transient)
}

/// Returns the error and its causes on one line: the client's message often leaves out the cause.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status;

    use super::*;

    #[test]
    fn each_kind_stands_at_its_index() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index, "{failure:?}");
        }
    }

    #[test]
    fn a_failure_that_an_operator_must_end_is_permanent() {
        let kinds = [
            (Code::NotFound, SinkErrorKind::Permanent),
            (Code::PermissionDenied, SinkErrorKind::Permanent),
            (Code::Unauthenticated, SinkErrorKind::Permanent),
            (Code::InvalidArgument, SinkErrorKind::Permanent),
            (Code::FailedPrecondition, SinkErrorKind::Permanent),
            (Code::ResourceExhausted, SinkErrorKind::Transient),
            (Code::DeadlineExceeded, SinkErrorKind::Transient),
            (Code::Unavailable, SinkErrorKind::Transient),
            (Code::Internal, SinkErrorKind::Transient),
            (Code::Unknown, SinkErrorKind::Transient),
        ];
        for (code, kind) in kinds {
            let error = Error::service(Status::default().set_code(code));
            assert_eq!(Failure::of(&error).kind(), kind, "{code}");
        }
        let credentials =
            |transient| Error::authentication(CredentialsError::from_msg(transient, "no token"));
        assert_eq!(Failure::of(&credentials(false)), Failure::Unauthenticated);
        assert_eq!(
            Failure::of(&credentials(true)).kind(),
            SinkErrorKind::Transient
        );
    }
}
