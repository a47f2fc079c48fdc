//! The jars of Apache Kafka.
//!
//! `IEM_TEST_KAFKA_LIBS` names a folder of jars to use instead: that of an unpacked Kafka, say.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::jars::{self, Artifact, fetch, need};

/// The version of Kafka that tests run against.
pub const VERSION: &str = "4.1.1";

/// The broker, the console tools, and somewhere for their log lines to go.
const ARTIFACTS: [Artifact; 3] = [
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.kafka", "kafka-tools", VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
];

/// The class path of Kafka's programs.
///
/// # Panics
/// Panics where Java or Maven is missing, with the command that installs them, or where Maven
/// cannot fetch.
pub fn class_path() -> &'static str {
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    CLASS_PATH.get_or_init(|| {
        need("java", "-version");
        let libs = std::env::var_os("IEM_TEST_KAFKA_LIBS");
        let libs = libs.map_or_else(
            || once("libs", |libs| fetch(&ARTIFACTS, libs)),
            PathBuf::from,
        );
        format!("{}/*", libs.display())
    })
}

/// The storage of a broker before its first start, made by Kafka's own tool once for all: it takes
/// seconds each time, and differs from broker to broker only in what the broker is called.
pub(super) fn formatted(make: impl FnOnce(&Path)) -> PathBuf {
    once("formatted-with-users", make)
}

fn once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    jars::once(&format!("kafka-{VERSION}"), name, make)
}
