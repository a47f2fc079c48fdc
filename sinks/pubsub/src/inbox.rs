//! The outcomes that a writer's calls have told, until the pipeline settles them.

use std::task::Waker;

use iem_sink::{DeliveryToken, Outcome, Reason, Settled, SinkError, SinkErrorKind};
use parking_lot::Mutex;

/// The outcomes that have come since the last call of [`settle`](Self::settle).
pub(crate) struct Inbox {
    told: Mutex<Told>,
    waker: Waker,
}

#[derive(Default)]
struct Told {
    outcomes: Vec<(DeliveryToken, Outcome)>,
    /// A transient error if there is any, since it is the reason to try again.
    error: Option<SinkError>,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            told: Mutex::default(),
            waker,
        }
    }

    pub(crate) fn delivered(&self, tokens: impl Iterator<Item = DeliveryToken>) {
        self.tell(tokens, Outcome::Delivered, None);
    }

    pub(crate) fn rejected(&self, token: DeliveryToken, reason: Reason) {
        self.tell([token].into_iter(), Outcome::Rejected(reason), None);
    }

    pub(crate) fn failed(&self, tokens: impl Iterator<Item = DeliveryToken>, error: SinkError) {
        self.tell(tokens, error.outcome(), Some(error));
    }

    /// Tells an outcome of tokens, and wakes the pipeline if it has settled all that came before.
    fn tell(
        &self,
        tokens: impl Iterator<Item = DeliveryToken>,
        outcome: Outcome,
        error: Option<SinkError>,
    ) {
        let mut told = self.told.lock();
        let was_empty = told.outcomes.is_empty();
        told.outcomes.extend(tokens.map(|token| (token, outcome)));
        if let Some(error) = error
            && told.error.as_ref().is_none_or(|first| {
                first.kind == SinkErrorKind::Permanent && error.kind == SinkErrorKind::Transient
            })
        {
            told.error = Some(error);
        }
        let has_come = was_empty && !told.outcomes.is_empty();
        drop(told);
        if has_come {
            self.waker.wake_by_ref();
        }
    }

    /// Hands everything on.
    pub(crate) fn settle(&self, settled: &mut Settled) {
        let Told { outcomes, error } = std::mem::take(&mut *self.told.lock());
        for (token, outcome) in outcomes {
            settled.tell(token, outcome);
        }
        if let Some(error) = error {
            settled.fault(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tokens(numbers: std::ops::Range<u64>) -> impl Iterator<Item = DeliveryToken> {
        numbers.map(DeliveryToken)
    }

    #[test]
    fn the_pipeline_is_woken_once_for_what_it_has_not_settled() {
        let wakes = Arc::new(Wakes::default());
        let inbox = Inbox::new(Waker::from(Arc::clone(&wakes)));
        for round in 1..=2 {
            inbox.delivered(tokens(0..2));
            inbox.rejected(DeliveryToken(2), Reason::Schema);
            inbox.failed(tokens(3..4), SinkError::transient("away"));
            assert_eq!(wakes.0.load(Ordering::Relaxed), round);
            let mut settled = Settled::default();
            inbox.settle(&mut settled);
            let outcomes: Vec<Outcome> = settled.outcomes().iter().map(|told| told.1).collect();
            assert_eq!(
                outcomes,
                [
                    Outcome::Delivered,
                    Outcome::Delivered,
                    Outcome::Rejected(Reason::Schema),
                    Outcome::Retryable,
                ]
            );
        }
    }

    #[test]
    fn a_transient_error_is_told_before_a_permanent_one() {
        let inbox = Inbox::new(Waker::noop().clone());
        let [permanent, transient] = [SinkError::permanent("gone"), SinkError::transient("away")];
        for errors in [
            [permanent.clone(), transient.clone()],
            [transient.clone(), permanent],
        ] {
            for error in errors {
                inbox.failed(tokens(0..1), error);
            }
            let mut settled = Settled::default();
            inbox.settle(&mut settled);
            assert_eq!(settled.take_error(), Some(transient.clone()));
        }
    }
}
