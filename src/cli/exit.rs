//! The exit codes of the process, and the message that comes with them.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The command failed.
pub(super) const FAILED: u8 = 1;
/// The command line is wrong.
pub(super) const WRONG_USE: u8 = 2;
/// The configuration, or a file that it names, is at fault (`EX_CONFIG` of sysexits.h).
pub(super) const CONFIGURATION: u8 = 78;

/// Writes the error to standard error, line by line.
pub(super) fn fail(code: u8, error: &dyn Display) -> ExitCode {
    let mut stderr = io::stderr().lock();
    for line in error.to_string().lines() {
        // If standard error is closed, no one can be told.
        let _ = writeln!(stderr, "iem-gateway: {line}");
    }
    ExitCode::from(code)
}
