//! `serve`: runs the gateway until it is told to stop, and greets on a first start.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{CONFIGURATION, FAILED, fail};
use crate::Gateway;
use crate::config::Config;
use crate::identity::directory::LiveDirectory;
use crate::identity::directory::first::{FirstUser, create_first};
use crate::telemetry::logging;

/// File descriptors that are wanted beside those of connections: files, listeners, wake-ups.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Runs the gateway until SIGTERM or SIGINT, and drains.
pub(super) fn serve(config: &Config) -> ExitCode {
    let _log = match logging::init(&config.logging) {
        Ok(guard) => guard,
        Err(error) => return fail(FAILED, &error),
    };
    raise_descriptors(config);
    // Only a gateway without a configuration makes up its own users.
    let first = if config.without_file {
        match create_first(&config.directory.path) {
            Ok(first) => first,
            Err(error) => return fail(FAILED, &error),
        }
    } else {
        None
    };
    let gateway = match Gateway::open(config) {
        Ok(gateway) => gateway,
        Err(error) => return fail(if error.is_configuration() { CONFIGURATION } else { FAILED }, &error),
    };
    tracing::info!(address = %gateway.address(), admin = %gateway.admin_address(), "listening");
    if let Some(first) = first {
        // There is nobody to tell that standard output is closed.
        let _ = greet(&mut io::stdout().lock(), &first, gateway.address());
    }
    let directory = Arc::clone(gateway.directory());
    match gateway.run(told_to_stop(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            fail(FAILED, &error)
        }
    }
}

/// Ready on SIGTERM or SIGINT. SIGHUP reloads the directory.
async fn told_to_stop(directory: Arc<LiveDirectory>) {
    let signals =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        tracing::error!("the system does not let signals be heard");
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => {
                let directory = Arc::clone(&directory);
                // It reads a file, and logs by itself what is wrong with it.
                let _ = tokio::task::spawn_blocking(move || directory.reload()).await;
            }
        }
    }
}

/// A connection is a descriptor; the soft limit is often far below the connections that are to be served.
fn raise_descriptors(config: &Config) {
    let wanted = config.server.max_connections as u64 + DESCRIPTORS_BESIDE;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit < wanted => {
            tracing::warn!(limit, wanted, "the limit on open files is below what max_connections needs");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, wanted, "cannot raise the limit on open files"),
    }
}

/// What to try first, ready to be pasted.
fn greet(out: &mut impl Write, first: &FirstUser, address: SocketAddr) -> io::Result<()> {
    let FirstUser { email, password, customer, integration } = first;
    let password = password.reveal();
    writeln!(
        out,
        r#"First start: made customer {customer} and API user {email}.
Its password, shown this once: {password}

To try it, paste into another terminal:

TOKEN=$(curl -s -X POST -u '{email}:{password}' http://{address}/api/v1/user/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -H "Cookie: access_token=$TOKEN" -d '{{"envcustomerid":"{customer}","entityid":"web-01","severity":"4","description":"CPU above 95 %"}}' http://{address}/publish/allevents/
curl -H "Cookie: access_token=$TOKEN" -d '{{"state":6,"sysid":"9d385017c611228701d22104cc95c371"}}' 'http://{address}/gbp/push/{customer}?integrationid={integration}'
"#
    )?;
    out.flush()
}
