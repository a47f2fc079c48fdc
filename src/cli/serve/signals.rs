//! The signals that the gateway handles, and what the service manager is told of them.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::systemd::Notifier;

/// The signals that the gateway handles. From [`Signals::register`] on, none of them ends the
/// process by itself.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// The runtime in which the signals were registered: it receives them.
    _runtime: Runtime,
}

impl Signals {
    /// Registers for SIGTERM, SIGINT and SIGHUP.
    pub(super) fn register() -> io::Result<Self> {
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
    /// that does not come to its end keeps nobody from stopping the gateway. `manager` is told that
    /// the gateway serves, with `status`, and of each reload's begin and end.
    pub(super) async fn stop(
        &mut self,
        reload: impl Fn() + Clone + Send + 'static,
        manager: &Notifier,
        status: &str,
    ) {
        let mut reading: Option<JoinHandle<()>> = None;
        manager.ready(status);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv(), if reading.is_none() => {
                    manager.reloading();
                    reading = Some(tokio::task::spawn_blocking(reload.clone()));
                }
                _ = async { reading.as_mut()?.await.ok() }, if reading.is_some() => {
                    reading = None;
                    manager.ready(status);
                }
            }
        }
    }

    /// Waits for another SIGTERM or SIGINT.
    pub(super) async fn stop_again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
