//! The watchdog of the service manager.

use tokio::time::{self, MissedTickBehavior};

use crate::systemd::Notifier;

/// Tells `manager`, if it wants to know, that the process works: as often as all serving threads
/// answer. Never returns.
pub(super) async fn keep(manager: &Notifier, liveness: impl AsyncFn() -> bool) {
    if let Some(time) = manager.watchdog() {
        let mut interval = time::interval(time / 2);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if !liveness().await {
                tracing::error!("a serving thread has ended; the watchdog is not told any more");
                break;
            }
            manager.alive();
        }
    }
    std::future::pending::<()>().await;
}
