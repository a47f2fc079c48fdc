//! Sessions: a user's tokens from one log-in on, however often they are refreshed.
//!
//! A session ends with its tokens, or before its time: when its user is disabled, gets another
//! password or is logged out, or when a refresh token comes that was used before. Sessions that
//! ended before their time are kept in a file beside the directory, which all gateways on that
//! directory follow.

mod certificate;
mod ended;
mod file;
mod followed;
mod kept;
mod rotations;
mod session;

pub use certificate::Thumbprint;
pub(in crate::identity) use ended::EXTERNAL_LEEWAY_S;
pub use ended::Ended;
pub use file::record;
pub(in crate::identity) use file::{check_size, path_beside, read_beside};
pub(in crate::identity) use followed::{EndedFile, Keeper};
pub use kept::EndedSessions;
pub(in crate::identity) use kept::Unsaved;
pub use rotations::{Rotations, Turn, UsedHere};
pub use session::{Session, SessionId, milliseconds};
