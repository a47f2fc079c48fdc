//! The reasons why a request is rejected. Their statuses and messages are written in `response`
//! alone.

use std::time::Duration;

use iem_sink::Reason;

use super::oauth::OAuthFault;
use crate::encoding::DecodeError;
use crate::identity::LoginError;
use crate::identity::authorization::Denied;
use crate::identity::quota::OverQuota;
use crate::identity::token::TokenError;
use crate::memory::Exhausted;
use crate::pipeline::SubmitError;
use crate::record::Malformed;
use crate::telemetry::Limit;

/// The reason why a request is rejected.
#[derive(Debug)]
pub enum Rejection {
    /// The head is ambiguous: two servers may read it differently.
    Ambiguous,
    /// The path is unknown.
    NotFound,
    /// The path is known, the method is not.
    MethodNotAllowed {
        /// The methods that the path takes.
        allow: &'static str,
    },
    /// The gateway itself has a fault.
    Internal,

    /// Credentials at the token endpoint are wrong.
    WrongLogin,
    /// A refresh token is invalid or expired.
    WrongRefreshToken,
    /// The body holds no refresh token.
    NoRefreshToken,

    /// A request of OAuth 2 is at fault.
    OAuth(OAuthFault),

    /// The request asks for a durability that there is not.
    UnknownDurability,
    /// The idempotency key is not one, or there are several.
    WrongIdempotencyKey,
    /// The idempotency key was used for other records, or for less.
    IdempotencyKeyReused,

    /// An event has the source and id of another one with other data, or with less durability.
    EventReused,

    /// The request has no access token.
    MissingToken,
    /// The request has neither an access token nor Basic credentials, which are taken in its place.
    MissingCredentials,
    /// The access token is not valid.
    InvalidToken,
    /// The access token has expired.
    ExpiredToken,
    /// The external issuer's keys have to be fetched before the access token can be judged.
    KeysAwaited,
    /// The user may not use the APIs.
    AccessDenied,

    /// Basic credentials at the ticket endpoint are wrong.
    WrongCredentials,
    /// Basic credentials of a publish call are wrong.
    WrongPublisher,
    /// The user or its peer address has failed to log in too often.
    TooManyAttempts {
        /// The time after which it may try again.
        retry_after: Duration,
    },
    /// Too many logins wait for their hash.
    LoginsBusy,
    /// The directory may be out of date for longer than the configuration allows.
    DirectoryTooOld,

    /// The path and its query are too long.
    UriTooLong {
        /// The most bytes.
        limit: usize,
    },
    /// The request has too many headers.
    TooManyHeaders {
        /// The most headers.
        limit: usize,
    },

    /// The body is too large, as sent or decoded.
    BodyTooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The body has an encoding that is not served, or several.
    EncodingNotServed,
    /// The body has an encoding at a call that takes none.
    Encoded,
    /// The content type is a format of events that is not served.
    FormatNotServed,
    /// The body, or enough of it, did not come in time.
    BodyLate(Limit),
    /// The body broke off, or its framing is wrong.
    BodyBroken,
    /// The body is not valid in its `Content-Encoding`.
    Undecodable(DecodeError),
    /// The body is not a valid record.
    Malformed(Malformed),

    /// The customer is inactive or unknown.
    InactiveCustomer,
    /// The user is not associated with the customer.
    NotAssociated,
    /// One record among several is rejected.
    OfRecord {
        /// The index of the record.
        index: usize,
        /// The reason.
        rejection: Box<Rejection>,
    },
    /// The customer has sent as much as it may for now.
    OverQuota {
        /// The time after which it may send again.
        retry_after: Duration,
    },
    /// The customer may never send so much at once.
    OverBurst,
    /// The query names no integration.
    NoIntegration,
    /// The customer has no such integration.
    UnknownIntegration,

    /// Too many requests are being answered over HTTP/2.
    TooManyRequests,
    /// The topic's queue, the memory for bodies or the parse pool is full now.
    Full(Limit),
    /// The request is larger than one customer's share of the topic's queue can ever be.
    TooMuch,
    /// The sink did not confirm all records in time.
    Unconfirmed {
        /// The indexes to send again. Empty if the sink confirmed none.
        failed: Vec<usize>,
        /// The indexes that the sink will never take.
        rejected: Vec<usize>,
    },
    /// The sink will never take some of the records, and has all others.
    NeverTaken {
        /// The indexes of those.
        rejected: Vec<usize>,
        /// The first one's reason.
        reason: Reason,
    },
}

impl Rejection {
    /// Returns the limit that the client has reached, if that is the reason.
    pub fn limit(&self) -> Option<Limit> {
        Some(match self {
            Self::UriTooLong { .. } => Limit::Uri,
            Self::TooManyHeaders { .. } => Limit::HeaderCount,
            Self::BodyTooLarge { .. } => Limit::BodySize,
            Self::BodyLate(limit) | Self::Full(limit) => *limit,
            Self::TooMuch => Limit::Records,
            Self::TooManyAttempts { .. } => Limit::Logins,
            Self::LoginsBusy => Limit::LoginsWaiting,
            Self::DirectoryTooOld => Limit::DirectoryAge,
            Self::KeysAwaited => Limit::IssuerKeys,
            Self::OverQuota { .. } | Self::OverBurst => Limit::Quota,
            Self::TooManyRequests => Limit::Http2Requests,
            _ => return None,
        })
    }
}

impl Rejection {
    /// Returns the rejection of a log-in that has failed. Wrong credentials are rejected as `wrong`.
    pub fn of_log_in(error: LoginError, wrong: Self) -> Self {
        match error {
            LoginError::Invalid => wrong,
            LoginError::TooMany { retry_after } => Self::TooManyAttempts { retry_after },
            LoginError::Busy(_) => Self::LoginsBusy,
        }
    }

    /// Returns what is wrong with the credentials of a log-in, if that is the reason.
    pub fn wrong_credentials(&self) -> Option<&'static str> {
        Some(match self {
            Self::WrongLogin
            | Self::WrongCredentials
            | Self::WrongPublisher
            | Self::OAuth(OAuthFault::WrongClient | OAuthFault::WrongPassword) => {
                "wrong credentials"
            }
            Self::WrongRefreshToken => "invalid refresh token",
            Self::TooManyAttempts { .. } => "too many failed attempts",
            Self::LoginsBusy => "too many log-ins at once",
            _ => return None,
        })
    }

    /// Returns why the user may not make the request, if that is the reason.
    pub fn denied(&self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidToken => "invalid token",
            Self::KeysAwaited => "token of a key that is not known yet",
            Self::AccessDenied => "may not use the APIs",
            Self::InactiveCustomer => "inactive or unknown customer",
            Self::NotAssociated => "not associated with the customer",
            Self::OfRecord { rejection, .. } => return rejection.denied(),
            _ => return None,
        })
    }
}

impl From<Exhausted> for Rejection {
    fn from(exhausted: Exhausted) -> Self {
        Self::Full(match exhausted {
            Exhausted::All => Limit::Memory,
            Exhausted::Share => Limit::MemoryShare,
        })
    }
}

impl From<OAuthFault> for Rejection {
    fn from(fault: OAuthFault) -> Self {
        Self::OAuth(fault)
    }
}

impl From<SubmitError> for Rejection {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full => Self::Full(Limit::Queue),
            SubmitError::OverShare => Self::Full(Limit::QueueShare),
            SubmitError::TooLarge => Self::TooMuch,
        }
    }
}

impl From<TokenError> for Rejection {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::InvalidToken,
            TokenError::Expired => Self::ExpiredToken,
            TokenError::KeysAwaited => Self::KeysAwaited,
        }
    }
}

impl From<OverQuota> for Rejection {
    fn from(over: OverQuota) -> Self {
        match over {
            OverQuota::Until(retry_after) => Self::OverQuota { retry_after },
            OverQuota::Never => Self::OverBurst,
        }
    }
}

impl From<Denied> for Rejection {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Access => Self::AccessDenied,
            Denied::InactiveCustomer => Self::InactiveCustomer,
            Denied::NotAssociated => Self::NotAssociated,
        }
    }
}
