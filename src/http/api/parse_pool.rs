//! A pool of threads that parse large bodies.
//!
//! A large body never delays the other connections of a serving thread. The pool is small, which
//! also limits how many large bodies are in memory as parsed records.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rejection::Rejection;
use super::sender::Sender;
use crate::telemetry::Limit;

/// A pool of threads that parse large bodies.
pub struct ParsePool {
    /// Only its blocking threads are used. `None` only while it is dropped.
    runtime: Option<Runtime>,
    permits: Arc<Semaphore>,
    patience: Duration,
}

/// A permit to hold what the pool has parsed. Dropping it gives it back.
pub(super) struct ParsePermit {
    _sender: [Option<OwnedSemaphorePermit>; 2],
    _pool: OwnedSemaphorePermit,
}

impl ParsePool {
    /// Creates a pool of at most `threads`, each started when it is needed. A body waits for a
    /// thread for at most `patience`.
    ///
    /// # Errors
    /// The runtime cannot be created.
    pub fn new(threads: usize, patience: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .thread_name("parser")
            .max_blocking_threads(threads)
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            permits: Arc::new(Semaphore::new(threads)),
            patience,
        })
    }

    /// Returns the number of threads that have nothing to do.
    #[cfg(feature = "testing")]
    pub(crate) fn idle(&self) -> usize {
        self.permits.available_permits()
    }

    /// Runs `work` on a thread of the pool. Returns its result with its permit: the holder of the
    /// permit holds the memory that the work has taken. No more than a pool of bodies of one user
    /// are in the line at once.
    ///
    /// # Errors
    /// [`Rejection::Full`] if no thread is free in time.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        sender: &Sender,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(R, ParsePermit), Rejection> {
        let wait_in_line = async {
            let sender = sender.begin_heavy_work_elsewhere().await;
            let pool = Arc::clone(&self.permits).acquire_owned().await;
            pool.map(|pool| ParsePermit {
                _sender: sender,
                _pool: pool,
            })
        };
        let permit = tokio::time::timeout(self.patience, wait_in_line)
            .await
            .map_err(|_| Rejection::Full(Limit::ParsePool))?
            .map_err(|_| Rejection::Internal)?;
        let runtime = self.runtime.as_ref().ok_or(Rejection::Internal)?;
        // The permit goes along: the work goes on if its client disconnects.
        runtime
            .spawn_blocking(move || (work(), permit))
            .await
            .map_err(|_| Rejection::Internal)
    }
}

impl Drop for ParsePool {
    fn drop(&mut self) {
        // Work that still runs is for clients that have disconnected.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use parking_lot::Mutex;

    use super::*;
    use crate::memory::MemoryBudget;
    use crate::shares::Ledger;

    fn sender(ledger: &Arc<Ledger>, user: &str) -> Sender {
        Sender::new(
            ledger,
            &MemoryBudget::new(0),
            &user.into(),
            Ipv4Addr::LOCALHOST.into(),
        )
    }

    #[tokio::test]
    async fn a_body_of_another_user_waits_for_no_more_than_one_of_a_flood() {
        let ledger = Ledger::new(0, 1);
        let (flood, other) = (sender(&ledger, "alice"), sender(&ledger, "bob"));
        let pool = ParsePool::new(1, Duration::from_mins(1)).expect("a runtime");
        let order = Mutex::new(Vec::new());
        let parse = async |sender, name| {
            let ((), permit) = pool.run(sender, || ()).await.expect("a thread");
            order.lock().push(name);
            // The next one in line comes.
            tokio::task::yield_now().await;
            drop(permit);
        };
        let floods =
            async { futures_util::future::join_all((0..5).map(|_| parse(&flood, "alice"))).await };
        tokio::join!(floods, parse(&other, "bob"));
        let order = order.into_inner();
        assert_eq!(order.len(), 6);
        assert!(order[..2].contains(&"bob"), "{order:?}");
    }

    #[tokio::test]
    async fn a_body_that_finds_no_thread_in_time_is_rejected() {
        let pool = ParsePool::new(1, Duration::from_millis(20)).expect("a runtime");
        let (release, held) = mpsc::channel::<()>();
        let ledger = Ledger::new(0, 2);
        let sender = sender(&ledger, "alice");
        let long = pool.run(&sender, move || held.recv().is_err());
        let late = async {
            let rejected = pool.run(&sender, || ()).await;
            drop(release);
            rejected
        };
        let (long, late) = tokio::join!(long, late);
        assert!(matches!(late, Err(Rejection::Full(Limit::ParsePool))));
        let (read, permit) = long.expect("it had a thread");
        assert!(read);
        drop(permit);
        assert!(pool.run(&sender, || ()).await.is_ok());
    }
}
