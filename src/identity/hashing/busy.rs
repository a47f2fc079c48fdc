//! The refusal of a login for want of time to hash its password.

/// More logins at once than the gateway can hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once")]
pub struct Busy;
