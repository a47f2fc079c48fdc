//! Retries of the client: a few within one request, for errors while a connection is renewed, and
//! never past the request's deadline. The pipeline retries after longer outages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::retry_policy::RetryableErrors;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::statistics::Statistics;

/// The most attempts at one request.
const ATTEMPTS: u32 = 3;

/// The time that the deadline of an abandoned request is kept. Its client may still ask for it.
const KEPT: Duration = Duration::from_mins(1);

/// The retry policy of one client, with the deadline of each request under way.
///
/// The client has one policy for all requests, and tells it only when a request began. So one
/// request at a time is noted, and the next after it has begun.
pub(crate) struct Deadlines {
    noted: Mutex<Noted>,
    statistics: Arc<Statistics>,
}

#[derive(Default)]
struct Noted {
    requests: u64,
    /// The request that has not begun, and the task that waits for its begin.
    next: Option<(NotedRequest, oneshot::Sender<()>)>,
    /// Requests by their begin.
    begun: BTreeMap<Instant, NotedRequest>,
}

/// A request whose deadline is noted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotedRequest {
    number: u64,
    deadline: Instant,
}

impl Deadlines {
    pub(crate) fn new(statistics: Arc<Statistics>) -> Self {
        Self {
            noted: Mutex::default(),
            statistics,
        }
    }

    /// Notes the deadline of a request that is about to begin. The receiver hears of its begin.
    pub(crate) fn note(&self, deadline: Instant) -> (NotedRequest, oneshot::Receiver<()>) {
        let mut noted = self.noted.lock();
        let now = Instant::now();
        while let Some(oldest) = noted.begun.first_entry()
            && oldest.get().deadline + KEPT < now
        {
            oldest.remove();
        }
        noted.requests += 1;
        let request = NotedRequest {
            number: noted.requests,
            deadline,
        };
        let (begins, begun) = oneshot::channel();
        noted.next = Some((request, begins));
        (request, begun)
    }

    /// Forgets a request that has ended. One that was abandoned is not forgotten: its deadline
    /// still ends it.
    pub(crate) fn forget(&self, request: NotedRequest) {
        let mut noted = self.noted.lock();
        noted.next.take_if(|(next, _)| *next == request);
        noted.begun.retain(|_, begun| *begun != request);
    }

    /// Returns the time that is left for the request that began at `start`.
    fn left(&self, start: Instant) -> Duration {
        let mut noted = self.noted.lock();
        if !noted.begun.contains_key(&start)
            && let Some((request, begins)) = noted.next.take()
        {
            noted.begun.insert(start, request);
            let _ = begins.send(());
        }
        let Some(request) = noted.begun.get(&start) else {
            return Duration::ZERO;
        };
        request.deadline.saturating_duration_since(Instant::now())
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Deadlines({} requests)",
            self.noted.lock().begun.len()
        )
    }
}

impl RetryPolicy for Deadlines {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        self.statistics.count_failure(Failure::of(&error));
        match RetryableErrors.on_error(state, error) {
            RetryResult::Continue(error)
                if state.attempt_count < ATTEMPTS && !self.left(state.start).is_zero() =>
            {
                self.statistics.count_retry();
                RetryResult::Continue(error)
            }
            RetryResult::Continue(error) => RetryResult::Exhausted(error),
            ended => ended,
        }
    }

    /// Returns the timeout of each attempt, which the client sends to the service too.
    fn remaining_time(&self, state: &RetryState) -> Option<Duration> {
        Some(self.left(state.start))
    }
}

/// Returns the pauses between attempts.
pub(crate) fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(20))
        .with_maximum_delay(Duration::from_millis(200))
        .clamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    /// Returns the seconds that are left for a request that began then, rounded up.
    fn seconds_left(deadlines: &Deadlines, start: Instant) -> u64 {
        let state = RetryState::new(true).set_start(start);
        let left = deadlines.remaining_time(&state).expect("a limit");
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    #[test]
    fn each_request_has_its_own_deadline() {
        let deadlines = Deadlines::new(Arc::default());
        let now = Instant::now();
        let [first, second, none] = [1, 2, 3].map(|n| now + Duration::from_millis(n));
        let (long, mut begun) = deadlines.note(now + 2 * LONG);
        assert!(begun.try_recv().is_err(), "it has not begun");
        assert_eq!(seconds_left(&deadlines, first), 2000);
        assert_eq!(begun.try_recv(), Ok(()));
        let (short, _begun) = deadlines.note(now + LONG);
        assert_eq!(seconds_left(&deadlines, second), 1000);
        for _ in 0..2 {
            assert_eq!(seconds_left(&deadlines, first), 2000);
            assert_eq!(seconds_left(&deadlines, second), 1000);
            assert_eq!(seconds_left(&deadlines, none), 0);
        }
        deadlines.forget(long);
        assert_eq!(seconds_left(&deadlines, first), 0);
        assert_eq!(seconds_left(&deadlines, second), 1000);
        deadlines.forget(short);
        assert_eq!(seconds_left(&deadlines, second), 0);
    }

    #[test]
    fn the_deadline_of_an_abandoned_request_goes_in_the_end() {
        let deadlines = Deadlines::new(Arc::default());
        let now = Instant::now();
        let Some(long_ago) = now.checked_sub(2 * KEPT) else {
            return;
        };
        let _abandoned = deadlines.note(long_ago);
        assert_eq!(seconds_left(&deadlines, now), 0);
        assert_eq!(deadlines.noted.lock().begun.len(), 1);
        let _later = deadlines.note(now + LONG);
        assert!(deadlines.noted.lock().begun.is_empty());
    }
}
