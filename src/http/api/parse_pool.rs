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
use crate::telemetry::Limit;

/// A pool of threads that parse large bodies.
pub struct ParsePool {
    /// Only its blocking threads are used. `None` only while it is dropped.
    runtime: Option<Runtime>,
    permits: Arc<Semaphore>,
    patience: Duration,
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
    /// permit holds the memory that the work has taken.
    ///
    /// # Errors
    /// [`Rejection::Full`] if no thread is free in time.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(R, OwnedSemaphorePermit), Rejection> {
        let permit = tokio::time::timeout(self.patience, Arc::clone(&self.permits).acquire_owned());
        let permit = permit
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
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_body_that_finds_no_thread_in_time_is_rejected() {
        let pool = ParsePool::new(1, Duration::from_millis(20)).expect("a runtime");
        let (release, held) = mpsc::channel::<()>();
        let long = pool.run(move || held.recv().is_err());
        let late = async {
            let rejected = pool.run(|| ()).await;
            drop(release);
            rejected
        };
        let (long, late) = tokio::join!(long, late);
        assert!(matches!(late, Err(Rejection::Full(Limit::ParsePool))));
        let (read, permit) = long.expect("it had a thread");
        assert!(read);
        drop(permit);
        assert!(pool.run(|| ()).await.is_ok());
    }
}
