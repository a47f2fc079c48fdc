//! `serve`: runs the gateway until a signal stops it, and prints a greeting on a first start.

mod reload;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use iem_journal::SEGMENT_BYTES;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::exit::{CONFIGURATION, FAILED, fail};
use crate::Gateway;
use crate::config::{Config, Loaded};
use crate::identity::directory::first::{FirstUser, create_first};
use crate::telemetry::logging;
use reload::Reload;

/// File descriptors needed beside those of connections: files, listeners, wake-ups.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Runs the gateway until SIGTERM or SIGINT, and drains. `file` is where the configuration came from.
pub(super) fn serve(file: Option<PathBuf>, loaded: Loaded) -> ExitCode {
    let Loaded { config, settings } = loaded;
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
        .map(|first| introduce(&mut io::stdout().lock(), first));
    let gateway = match Gateway::open(&config) {
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
    tracing::info!(address = %gateway.address(), admin = %gateway.admin_address(), "listening");
    let _ = first.map(|first| suggest(&mut io::stdout().lock(), &first, gateway.address()));
    let read_files = gateway.reloader();
    let reload = Reload::new(file, settings, levels, gateway.quotas());
    let reload = Arc::new(Mutex::new(reload));
    let read_all = move || {
        read_files();
        reload.lock().run();
    };
    match gateway.run(signals.stop(read_all)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            fail(FAILED, &error)
        }
    }
}

/// The signals that the gateway handles. From [`Signals::register`] on, none of them ends the
/// process by itself.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// The runtime in which the signals were registered: it receives them.
    _runtime: Runtime,
}

impl Signals {
    fn register() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _inside = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _runtime: runtime,
        })
    }

    /// Waits for SIGTERM or SIGINT; reloads on SIGHUP. Files are read on a thread of their own: one
    /// that does not come to its end keeps nobody from stopping the gateway.
    async fn stop(&mut self, reload: impl Fn() + Clone + Send + 'static) {
        let mut reading: Option<JoinHandle<()>> = None;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv(), if reading.is_none() => {
                    reading = Some(tokio::task::spawn_blocking(reload.clone()));
                }
                _ = async { reading.as_mut()?.await.ok() }, if reading.is_some() => {
                    reading = None;
                }
            }
        }
    }
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

/// Prints the first user, whose password is nowhere else in the clear.
fn introduce(out: &mut impl Write, first: &FirstUser) -> io::Result<()> {
    let FirstUser {
        email,
        password,
        customer,
        ..
    } = first;
    writeln!(
        out,
        "First start: made customer {customer} and API user {email}."
    )?;
    writeln!(
        out,
        "Its password, shown this once: {}\n",
        password.reveal()
    )?;
    out.flush()
}

/// Prints first requests to try, ready to be pasted.
fn suggest(out: &mut impl Write, first: &FirstUser, address: SocketAddr) -> io::Result<()> {
    let FirstUser {
        email,
        password,
        customer,
        integration,
    } = first;
    let password = password.reveal();
    writeln!(
        out,
        r#"To try it, paste into another terminal:

TOKEN=$(curl -s -X POST -u '{email}:{password}' http://{address}/api/v1/user/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -H "Cookie: access_token=$TOKEN" -d '{{"envcustomerid":"{customer}","entityid":"web-01","severity":"4","description":"CPU above 95 %"}}' http://{address}/publish/allevents/
curl -H "Cookie: access_token=$TOKEN" -d '{{"state":6,"sysid":"9d385017c611228701d22104cc95c371"}}' 'http://{address}/gbp/push/{customer}?integrationid={integration}'
"#
    )?;
    out.flush()
}
