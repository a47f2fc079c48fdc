//! Retries of the client: a few within the call, for errors while a connection is renewed, and
//! never past the call's deadline. The pipeline retries after longer outages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::retry_policy::RetryableErrors;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::statistics::Statistics;

/// The most attempts at one request.
const ATTEMPTS: u32 = 3;

/// The retry policy of one writer's client. A writer makes one call at a time, so it has one
/// deadline.
pub(crate) struct UntilDeadline {
    deadline: Mutex<Instant>,
    statistics: Arc<Statistics>,
}

impl UntilDeadline {
    pub(crate) fn new(deadline: Instant, statistics: Arc<Statistics>) -> Self {
        Self {
            deadline: Mutex::new(deadline),
            statistics,
        }
    }

    pub(crate) fn set(&self, deadline: Instant) {
        *self.deadline.lock() = deadline;
    }

    fn left(&self) -> Duration {
        let deadline = *self.deadline.lock();
        deadline.saturating_duration_since(Instant::now())
    }
}

impl std::fmt::Debug for UntilDeadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UntilDeadline({:?} left)", self.left())
    }
}

impl RetryPolicy for UntilDeadline {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        self.statistics.count_failure(Failure::of(&error));
        match RetryableErrors.on_error(state, error) {
            RetryResult::Continue(error)
                if state.attempt_count < ATTEMPTS && !self.left().is_zero() =>
            {
                self.statistics.count_retry();
                RetryResult::Continue(error)
            }
            RetryResult::Continue(error) => RetryResult::Exhausted(error),
            ended => ended,
        }
    }

    /// Returns the timeout of each attempt, which the client sends to the service too.
    fn remaining_time(&self, _: &RetryState) -> Option<Duration> {
        Some(self.left())
    }
}

/// Returns the pauses between attempts.
pub(crate) fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(20))
        .with_maximum_delay(Duration::from_millis(200))
        .clamp()
}
