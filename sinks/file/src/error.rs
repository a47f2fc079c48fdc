//! The mapping from the errors of files to the error of the sink contract.

use iem_sink::SinkError;

use crate::disk::DiskError;
use crate::folder_lock::LockError;

impl From<DiskError> for SinkError {
    fn from(error: DiskError) -> Self {
        if error.is_permanent() {
            Self::permanent(error.to_string())
        } else {
            Self::transient(error.to_string())
        }
    }
}

impl From<LockError> for SinkError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(message) => Self::permanent(message),
            LockError::Disk(error) => error.into(),
        }
    }
}
