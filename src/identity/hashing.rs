//! Runs password hashes off the runtime's threads.
//!
//! A hash costs tens of milliseconds and megabytes by design, so it never runs on a thread of the
//! runtime, and only a bounded number runs at a time.

mod busy;
mod line;

use std::sync::Arc;

use tokio::time::Instant;

pub use busy::Busy;
use line::Line;
pub use line::Standing;

/// The permits for password hashes: a few run at a time, a bounded number waits.
#[derive(Debug)]
pub struct Hashing(Arc<Line>);

impl Hashing {
    /// Allows `at_once` hashes to run, and `waiting` more to wait for them.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self(Line::new(at_once, waiting))
    }

    /// Runs `job` on a blocking thread, if a permit comes before `deadline`; who waits for one is
    /// ordered by its standing. A job that has begun runs to its end even if the caller is dropped,
    /// and holds its permit until then.
    ///
    /// # Errors
    /// [`Busy`] if too many jobs wait, no permit comes in time, or the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        standing: &Standing,
        deadline: Instant,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let permit = self.0.wait(standing, deadline).await?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            job()
        })
        .await
        .map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn anybody() -> Standing {
        Standing {
            peer: IpAddr::from([192, 0, 2, 1]).into(),
            is_known: false,
            failures: [0; 3],
        }
    }

    #[tokio::test]
    async fn one_hash_more_than_may_wait_is_busy() {
        let hashing = Arc::new(Hashing::new(1, 1));
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let start = |job: Box<dyn FnOnce() + Send>| {
            let hashing = Arc::clone(&hashing);
            tokio::spawn(async move { hashing.run(&anybody(), later(), job).await })
        };
        let first = start(Box::new(move || {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
        running.await.unwrap();
        let second = start(Box::new(|| ()));
        tokio::task::yield_now().await;
        assert_eq!(hashing.run(&anybody(), later(), || ()).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(
            (first.await.unwrap(), second.await.unwrap()),
            (Ok(()), Ok(()))
        );
        assert_eq!(hashing.run(&anybody(), later(), || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_panics_returns_its_permit() {
        let hashing = Hashing::new(1, 0);
        assert_eq!(
            hashing
                .run(&anybody(), later(), || panic!("on purpose"))
                .await,
            Err::<(), _>(Busy)
        );
        assert_eq!(hashing.run(&anybody(), later(), || 1).await, Ok(1));
    }
}
