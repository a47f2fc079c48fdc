//! The gateway on real backends: Apache Kafka and Google's Pub/Sub emulator.

mod distant_backends;
mod distant_weather;
pub(crate) mod kafka;
mod pubsub;
mod several_sinks;
mod sink_swap;
pub(crate) mod weather;
