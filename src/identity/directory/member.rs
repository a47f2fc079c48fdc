//! A gateway that shares the directory with others.

/// A gateway that shares the directory with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, host and port.
    pub id: String,
    /// The seconds since it was last there.
    pub seen_s: i64,
    /// The revision of the directory that it had then.
    pub revision: i64,
    /// Its version.
    pub version: String,
}
