//! An open ingestion gateway for the IEM publish service and its ITSM integration API.

pub mod cli;
pub mod config;
pub mod telemetry;
