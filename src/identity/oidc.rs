//! Tokens of an external issuer (OIDC Core 1.0, RFC 7519, RFC 9068), beside our own.
//!
//! ```text
//!  token ─ key by kid ─ signature ─ claims ─ email ─── the user, in the directory's snapshot
//!              │
//!          key set ─── fetched by a thread of its own, kept while the issuer is away
//! ```
//!
//! A token says who somebody is, and nothing of that person's rights. No serving thread waits for
//! the issuer, and nothing of a token is ever logged. A token that cannot be judged yet, for want of
//! keys, is to be sent again.

#[cfg(test)]
pub(crate) mod example;
mod fetch;
mod issuer;
mod key_name;
mod key_set;
mod named;
mod unknown_keys;

pub use issuer::{Issuer, IssuerKeys};
