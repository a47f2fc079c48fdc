//! Sessions: a user's tokens from one log-in on, however often they are refreshed.
//!
//! A session ends with its tokens, or before its time: when its user is disabled, gets another
//! password or is logged out, or when a refresh token comes that was used before. Sessions that
//! ended before their time are kept in a file beside the directory, which all gateways on that
//! directory follow.

mod certificate;
mod ended;
mod file;
mod kept;
mod rotations;
mod session;

pub use certificate::Thumbprint;
pub use ended::Ended;
pub use file::record;
pub use kept::{EndedSessions, Keeper};
pub use rotations::{Rotations, Turn};
pub use session::{Session, SessionId};
