//! OAuth 2 (RFC 6749): the token call, the revocation of tokens (RFC 7009) and the metadata
//! (RFC 8414). Each user is a client. The tokens are the same as those of the token call that is not
//! of OAuth.

mod client;
mod form;
mod metadata;
mod revoke;
mod token;

pub use form::FORM;
pub(super) use metadata::{Metadata, metadata};
pub(super) use revoke::revoke;
pub(super) use token::token;

/// The reason why a request of OAuth 2 is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthFault {
    /// The body has another content type than that of a form.
    NotAForm,
    /// A parameter is missing or empty.
    Missing(&'static str),
    /// A parameter is given twice.
    Twice(&'static str),
    /// A parameter is longer than anything that could be right.
    TooLong(&'static str),
    /// Client credentials are in the header and in the body.
    TwoClients,
    /// There is no such grant type.
    UnknownGrant,
    /// The client's credentials are missing or wrong.
    WrongClient,
    /// The user's name or password is wrong.
    WrongPassword,
    /// The end of a session could not be written to disk.
    NotSaved,
}
