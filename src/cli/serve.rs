//! `serve`: runs the gateway until a signal stops it, and prints a greeting on a first start.

mod greeting;
mod reload;
mod signals;
mod watchdog;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use iem_journal::SEGMENT_BYTES;
use parking_lot::Mutex;

use super::exit::{CONFIGURATION, FAILED, fail};
use crate::config::{self, Config, Errors, Loaded, Origin};
use crate::gateway::{Gateway, Listeners};
use crate::identity::directory::first::create_first;
use crate::systemd::{self, Notifier};
use crate::telemetry::logging;
use reload::Reload;
use signals::Signals;

/// File descriptors needed beside those of connections: files, listeners, wake-ups.
const DESCRIPTORS_BESIDE: u64 = 256;
/// The time that a stop may take beside that for draining.
const STOP_BESIDE: Duration = Duration::from_secs(10);

/// Runs the gateway until SIGTERM or SIGINT, and drains. `file` is where the configuration came from.
pub(super) fn serve(file: Option<PathBuf>, loaded: Loaded) -> ExitCode {
    // First of all, while there is one thread.
    let listeners = match systemd::listeners() {
        Ok(listeners) => listeners,
        Err(error) => return fail(FAILED, &error),
    };
    let Loaded { config, settings } = loaded;
    let config = match on_addresses_of(&listeners, &config) {
        Ok(config) => config,
        Err(errors) => return fail(CONFIGURATION, &errors),
    };
    let manager = match Notifier::from_environment() {
        Ok(manager) => manager,
        Err(error) => return fail(FAILED, &format_args!("NOTIFY_SOCKET: {error}")),
    };
    let mut signals = match Signals::register() {
        Ok(signals) => signals,
        Err(error) => {
            return fail(
                FAILED,
                &format_args!("cannot register for signals: {error}"),
            );
        }
    };
    let (_log, levels) = match logging::init(&config.logging, &config.audit) {
        Ok(log) => log,
        Err(error) => return fail(FAILED, &error),
    };
    super::report_panics();
    raise_descriptors(&config);
    // Only a gateway without a configuration creates its own users.
    let first = if config.without_file {
        match create_first(&config.directory.path) {
            Ok(first) => first,
            Err(error) => return fail(FAILED, &error),
        }
    } else {
        None
    };
    // Printed before anything else can fail, because the password is never printed again. If
    // standard output is closed, no one can be told.
    let _ = first
        .as_ref()
        .map(|first| greeting::introduce(&mut io::stdout().lock(), first));
    let gateway = match Gateway::open_on(&config, listeners) {
        Ok(gateway) => gateway,
        Err(error) => {
            return fail(
                if error.is_configuration() {
                    CONFIGURATION
                } else {
                    FAILED
                },
                &error,
            );
        }
    };
    let address = gateway.address();
    tracing::info!(%address, admin = %gateway.admin_address(), "listening");
    let _ = first.map(|first| greeting::suggest(&mut io::stdout().lock(), &first, address));
    let read_files = gateway.reloader();
    let in_use = gateway.settings();
    let reload = Reload::new(file, settings, levels, gateway.quotas(), in_use);
    let reload = Arc::new(Mutex::new(reload));
    let read_all = move || {
        read_files();
        reload.lock().run();
    };
    let status = format!("Serving on {address}");
    let liveness = gateway.liveness();
    let config::Server {
        drain, drain_delay, ..
    } = config.server;
    let (manager, signals) = (&manager, &mut signals);
    #[expect(
        clippy::async_yields_async,
        reason = "the second signal is awaited elsewhere"
    )]
    let shutdown = async move {
        tokio::select! {
            () = signals.stop(read_all, manager, &status) => {}
            () = watchdog::keep(manager, liveness) => {}
        }
        manager.stopping(
            drain_delay + drain + STOP_BESIDE,
            format_args!("Draining: finishing accepted requests within {drain:?}"),
        );
        signals.stop_again()
    };
    match gateway.run(shutdown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            fail(FAILED, &error)
        }
    }
}

/// Returns the configuration with the addresses of `listeners`.
fn on_addresses_of(listeners: &Listeners, config: &Config) -> Result<Config, Errors> {
    let address = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
    config.listening_on(
        address(&listeners.service),
        address(&listeners.admin),
        &Origin::Variable("LISTEN_FDS".to_owned()),
    )
}

/// Returns the file descriptors for the segments of journals: those of the journal itself, and of the
/// look at its idempotency keys after a start.
fn of_journals(config: &Config) -> u64 {
    let journaled = config.topics.iter().filter(|topic| topic.is_journaled());
    journaled.count() as u64 * 2 * (config.journal.bytes as u64).div_ceil(SEGMENT_BYTES)
}

/// Raises the soft limit on file descriptors, which is often far below `max_connections`.
fn raise_descriptors(config: &Config) {
    let wanted = config.server.max_connections as u64 + DESCRIPTORS_BESIDE + of_journals(config);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit < wanted => {
            tracing::warn!(
                limit,
                wanted,
                "the limit on open files is below what max_connections needs"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, wanted, "cannot raise the limit on open files"),
    }
}
