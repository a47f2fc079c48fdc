//! The threads that a client of Pub/Sub runs on.

use iem_sink::SinkError;
use tokio::runtime::{Builder, Runtime};

/// The variable that names the emulator, as Google's own clients read it.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";

/// Returns a runtime of one thread with this name.
///
/// # Errors
/// The operating system gives no thread.
pub(crate) fn runtime(name: &str) -> Result<Runtime, SinkError> {
    // The client needs a process-wide TLS provider. One that is installed already stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|error| {
            SinkError::transient(format!("cannot start a thread for Pub/Sub: {error}"))
        })
}

/// Returns the address of the emulator, if there is one.
pub(crate) fn emulator() -> Option<String> {
    std::env::var(EMULATOR).ok()
}
