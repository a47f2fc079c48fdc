//! Threads beside the serving ones, for bodies that take long to read: a serving thread never holds
//! up its other connections for one of them. They are few, and so are the bodies taken apart at one
//! time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::response::Refusal;
use crate::telemetry::Limit;

/// Bodies up to this many bytes are read where they are: for at most a few milliseconds, and nearly
/// all are far smaller.
pub(super) const READ_IN_PLACE_MAX: usize = 256 << 10;

/// A few threads that read.
pub struct Readers {
    /// Its blocking threads alone are used. Always there until dropped.
    runtime: Option<Runtime>,
    permits: Arc<Semaphore>,
    patience: Duration,
}

impl Readers {
    /// As many as `threads`, each started when it is needed. A body waits for one as long as
    /// `patience`.
    ///
    /// # Errors
    /// The operating system's, of what it does not give.
    pub fn new(threads: usize, patience: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .thread_name("reader")
            .max_blocking_threads(threads)
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            permits: Arc::new(Semaphore::new(threads)),
            patience,
        })
    }

    /// How many have nothing to do.
    #[cfg(feature = "testing")]
    pub(super) fn idle(&self) -> usize {
        self.permits.available_permits()
    }

    /// Does `work` on one of the threads, once one is free; where that is not soon, the gateway is
    /// full. What was read comes with its permit: who holds that holds the memory that the work
    /// has taken.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(R, OwnedSemaphorePermit), Refusal> {
        let permit = tokio::time::timeout(self.patience, Arc::clone(&self.permits).acquire_owned());
        let permit = permit
            .await
            .map_err(|_| Refusal::Full(Limit::Readers))?
            .map_err(|_| Refusal::Internal)?;
        let runtime = self.runtime.as_ref().ok_or(Refusal::Internal)?;
        // The permit goes along: the work goes on where its client has gone away.
        runtime
            .spawn_blocking(move || (work(), permit))
            .await
            .map_err(|_| Refusal::Internal)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // What still runs reads for a client that has gone away.
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
    async fn a_body_that_finds_no_thread_in_time_is_refused() {
        let readers = Readers::new(1, Duration::from_millis(20)).expect("a runtime");
        let (release, held) = mpsc::channel::<()>();
        let long = readers.read(move || held.recv().is_err());
        let late = async {
            let refused = readers.read(|| ()).await;
            drop(release);
            refused
        };
        let (long, late) = tokio::join!(long, late);
        assert!(matches!(late, Err(Refusal::Full(Limit::Readers))));
        let (read, permit) = long.expect("it had a thread");
        assert!(read);
        drop(permit);
        assert!(readers.read(|| ()).await.is_ok());
    }
}
