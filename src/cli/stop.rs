//! The wish of an operator that a command ends in order: SIGTERM, or SIGINT (Ctrl-C).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

/// Whether one of the signals has come. From its making on, neither ends the process by itself.
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Begins to wait for the signals.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(super) fn on_signals() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let inside = runtime.enter();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        drop(inside);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let wait = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            });
            told.store(true, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(wait)?;
        Ok(Self(stop))
    }

    /// Returns whether a signal has come.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
