//! Real backends for tests and benches: fetched, started and ended by the tests themselves, on
//! loopback ports that were free and in folders of their own. They end with the process that
//! started them, however that one ends.

pub mod delaying_proxy;
pub mod kafka;
pub(crate) mod ports;
pub mod postgres;
pub mod process;
pub mod pubsub;
