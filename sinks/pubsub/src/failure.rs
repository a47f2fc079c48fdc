//! What a failure of Pub/Sub means for the records, and what an operator is told of it.

use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::Error;
use iem_sink::SinkErrorKind;

/// Why a request failed, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NotFound,
    PermissionDenied,
    /// The credential is refused, or no token could be had for it.
    Unauthenticated,
    InvalidArgument,
    FailedPrecondition,
    ResourceExhausted,
    /// Not in time.
    DeadlineExceeded,
    /// The service is away, or says so.
    Unavailable,
    Other,
}

impl Failure {
    /// Each with its name in the figures.
    pub(crate) const ALL: [(Self, &str); 9] = [
        (Self::NotFound, "errors_not_found_total"),
        (Self::PermissionDenied, "errors_permission_denied_total"),
        (Self::Unauthenticated, "errors_unauthenticated_total"),
        (Self::InvalidArgument, "errors_invalid_argument_total"),
        (Self::FailedPrecondition, "errors_failed_precondition_total"),
        (Self::ResourceExhausted, "errors_resource_exhausted_total"),
        (Self::DeadlineExceeded, "errors_deadline_exceeded_total"),
        (Self::Unavailable, "errors_unavailable_total"),
        (Self::Other, "errors_other_total"),
    ];

    pub(crate) fn of(error: &Error) -> Self {
        if let Some(status) = error.status() {
            return Self::of_code(status.code);
        }
        if error.is_authentication() {
            // A metadata server that is away is no refusal.
            return if is_passing(error) {
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

    /// Whether trying again may help.
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

fn is_passing(error: &Error) -> bool {
    let source = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<CredentialsError>());
    source.is_some_and(CredentialsError::is_transient)
}

/// The error and its causes on one line: the client's own words often leave out the one that tells.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_must_change_is_permanent() {
        use google_cloud_gax::error::rpc::Status;
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
            |passing| Error::authentication(CredentialsError::from_msg(passing, "no token"));
        assert_eq!(Failure::of(&credentials(false)), Failure::Unauthenticated);
        assert_eq!(
            Failure::of(&credentials(true)).kind(),
            SinkErrorKind::Transient
        );
    }
}
