//! A sink that writes records as lines of JSON into rolling files, which are named
//! `<path>/<topic>/<time of the first record>-<sequence>.ndjson`.
//!
//! A line is one record in the JSON format of `CloudEvents` 1.0 (structured mode), with the
//! client's bytes in `data` unchanged. A file that has reached its size or age is closed; with
//! compression, it becomes `.ndjson.zst`. A reader of all `*.ndjson` and `*.ndjson.zst` files of a
//! topic, in name order, reads every record once and in order. While a file is replaced by its
//! archive, both exist for a moment, and the `.ndjson` counts. A start that finds both keeps the
//! archive if it is complete.
//!
//! `Delivered` means that the record's line is written and, with [`FileConfig::sync`], on the disk
//! together with the name of its file. If any part of a batch fails, none of it is delivered, and
//! its bytes are removed from the file before the next batch is written. The files of an earlier
//! run are never appended to. The recovery of a topic, when it is opened, takes out the torn lines
//! that a crash left in them: anywhere in a file with [`FileConfig::sync`], and at its end
//! without. One process at a time owns the data directory.
//!
//! File systems have no deadline: if a disk hangs, so does the call that uses it.

mod checkpoint;
mod compressor;
mod config;
mod data_directory;
mod error;
mod line;
mod line_reader;
mod maintenance;
mod name;
mod open_file;
mod reader;
mod record_files;
mod record_line;
mod recovery;
mod rolling_file;
mod sink;
mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

pub use config::{Compression, FileConfig};
pub use line::Lines;
pub use reader::FileReader;
pub use record_files::{RecordFile, RecordLine, RecordReader};
pub use sink::FileSink;
