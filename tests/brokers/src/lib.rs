//! Real backends for tests and benches: fetched, started and ended by the tests themselves.

pub mod kafka;
