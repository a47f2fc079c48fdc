//! The effect of an operation, as a trace records it.

use std::fs::File;
use std::path::Path;

/// The effect of an operation that was carried out.
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(dead_code, reason = "only a trace reads what an effect holds")
)]
#[derive(Clone, Copy)]
pub(crate) enum Effect<'a> {
    Create {
        path: &'a Path,
        file: &'a File,
    },
    Open {
        path: &'a Path,
        file: &'a File,
    },
    /// A write that ended at the file's position.
    Append {
        file: &'a File,
        bytes: &'a [u8],
    },
    /// A write at an offset, in bytes.
    Write {
        file: &'a File,
        offset: u64,
        bytes: &'a [u8],
    },
    SetLen {
        file: &'a File,
        length: u64,
    },
    Sync {
        file: &'a File,
    },
    FailedSync {
        file: &'a File,
    },
    SyncFolder {
        path: &'a Path,
    },
    Rename {
        from: &'a Path,
        to: &'a Path,
    },
    Remove {
        path: &'a Path,
    },
    CreateFolder {
        path: &'a Path,
    },
}
