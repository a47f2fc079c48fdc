//! The mapping from the errors of files to the error of the sink contract.

use iem_disk::{DiskError, LockError};
use iem_sink::SinkError;

/// Returns the error of a failed file operation: permanent if it lasts until somebody changes
/// something.
#[expect(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
pub(crate) fn from_disk(error: DiskError) -> SinkError {
    if error.is_permanent() {
        SinkError::permanent(error.to_string())
    } else {
        SinkError::transient(error.to_string())
    }
}

/// Returns the error of a data directory that cannot be locked: permanent if another process owns
/// it.
pub(crate) fn from_lock(error: LockError) -> SinkError {
    match error {
        LockError::Held(message) => SinkError::permanent(message),
        LockError::Disk(error) => from_disk(error),
    }
}
