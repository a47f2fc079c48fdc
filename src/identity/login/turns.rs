//! One attempt at a time for each origin: the others wait.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use crate::identity::hashing::Busy;
use crate::identity::limits::Origin;

/// A lock for each origin that has an attempt under way, so there are never more than requests.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Origin, Arc<AsyncMutex<()>>>>);

/// The turn of one attempt. It ends when this is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    origin: Origin,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no other attempt of this origin is under way.
    ///
    /// # Errors
    /// [`Busy`] if that lasts beyond `deadline`.
    pub(super) async fn take(
        self: &Arc<Self>,
        origin: Origin,
        deadline: Instant,
    ) -> Result<Turn, Busy> {
        let lock = Arc::clone(self.0.lock().entry(origin).or_default());
        // Made before the wait, so that the origin is forgotten after a wait in vain too.
        let mut turn = Turn {
            turns: Arc::clone(self),
            origin,
            held: None,
        };
        turn.held = Some(
            timeout_at(deadline, lock.lock_owned())
                .await
                .map_err(|_| Busy)?,
        );
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.turns.0.lock();
        // Whoever waits holds the lock too, and takes it from there under the same mutex.
        let is_last = |lock: &Arc<_>| Arc::strong_count(lock) == 1;
        if locks.get(&self.origin).is_some_and(is_last) {
            locks.remove(&self.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    fn origin(user: u8) -> Origin {
        Origin {
            user: [user; 32],
            peer: IpAddr::from([192, 0, 2, 1]).into(),
        }
    }

    #[tokio::test]
    async fn attempts_of_one_origin_take_turns_and_no_other_waits_for_them() {
        let turns = Arc::new(Turns::default());
        let later = Instant::now() + Duration::from_mins(1);
        let first = turns.take(origin(1), later).await.unwrap();
        assert!(turns.take(origin(1), Instant::now()).await.is_err());
        for other in 2..=u8::MAX {
            assert!(turns.take(origin(other), Instant::now()).await.is_ok());
        }
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take(origin(1), later).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(turns.0.lock().is_empty(), "nobody is remembered");
    }
}
