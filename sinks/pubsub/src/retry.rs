//! How the client tries again: a few times and soon, against what a connection's renewal causes,
//! and never past the deadline of the call that is under way. Longer outages are the pipeline's to
//! wait out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::retry_policy::RetryableErrors;

use crate::failure::Failure;
use crate::figures::Figures;

const ATTEMPTS: u32 = 3;

/// The policy of one writer's client. A writer has one call under way at a time, so it has one
/// deadline.
pub(crate) struct UntilDeadline {
    deadline: Mutex<Instant>,
    figures: Arc<Figures>,
}

impl UntilDeadline {
    pub(crate) fn new(deadline: Instant, figures: Arc<Figures>) -> Self {
        Self {
            deadline: Mutex::new(deadline),
            figures,
        }
    }

    pub(crate) fn set(&self, deadline: Instant) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    fn left(&self) -> Duration {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.figures.failed(Failure::of(&error));
        match RetryableErrors.on_error(state, error) {
            RetryResult::Continue(error)
                if state.attempt_count < ATTEMPTS && !self.left().is_zero() =>
            {
                self.figures.retried();
                RetryResult::Continue(error)
            }
            RetryResult::Continue(error) => RetryResult::Exhausted(error),
            ended => ended,
        }
    }

    /// Becomes the timeout of each attempt, which the service is told too.
    fn remaining_time(&self, _: &RetryState) -> Option<Duration> {
        Some(self.left())
    }
}

pub(crate) fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(20))
        .with_maximum_delay(Duration::from_millis(200))
        .clamp()
}
