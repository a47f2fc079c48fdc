//! Sends the records of files again, dead letters above all, to a sink: for `journal replay`, and from
//! within a running gateway, for the console.

mod ending;
#[cfg(feature = "file")]
mod files;
#[cfg(feature = "file")]
mod report;
#[cfg(feature = "file")]
mod sending;

pub use ending::{Ending, Patience};
#[cfg(feature = "file")]
pub use files::{Files, SentLines};
#[cfg(feature = "file")]
pub use report::Report;
#[cfg(feature = "file")]
pub use sending::Sending;
