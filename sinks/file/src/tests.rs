//! Tests of the sink as a whole, on real files.

#![allow(clippy::unwrap_used)]

mod compatibility;
mod conformance;
mod data_directory;
mod failed_sync;
mod failure;
mod fixture;
mod model;
mod reader;
mod record_files;
mod recovery;
mod rotation;
mod writer;
