//! Attempts to deliver the records of claimed keys. Each goes on to its end, whatever becomes of the
//! client: on a task of its own if the caller goes away, or if outcomes come after the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;

use super::Settled;
use crate::pipeline::Outcomes;

/// The outcomes of records that come after their request's answer.
pub type LateOutcomes = Pin<Box<dyn Future<Output = Outcomes> + Send>>;

/// The answer to the records that a request has handed over.
pub struct Answer {
    /// Their outcomes, as far as they are known in time.
    pub settled: Settled,
    /// Their last outcomes, if a sink may still have some of those that are not delivered.
    pub late: Option<LateOutcomes>,
}

/// Keys whose records have been handed over.
pub(super) trait Claimed: Send + Unpin + 'static {
    type Told;

    /// Settles the keys by the answer.
    fn answered(self, answer: Answer) -> Self::Told;
}

/// Waits for the answer, and settles the keys by it. It does so also if the caller goes away.
pub(super) async fn run<C: Claimed>(
    claimed: C,
    answer: impl Future<Output = Answer> + Send + 'static,
) -> C::Told {
    let mut attempt = Attempt(Some((claimed, Box::pin(answer))));
    let (claimed, answer) = poll_fn(|context| attempt.poll(context)).await;
    claimed.answered(answer)
}

/// Runs the rest of an attempt on a task of its own. Without a runtime it is dropped: its keys are
/// settled by what is known.
pub(super) fn go_on(rest: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(rest);
    }
}

/// Waits for the last outcomes. `None` if they have not come after so long: the time of a key counts
/// from the answer then.
pub(super) async fn last(late: LateOutcomes, limit: Duration) -> Option<Outcomes> {
    tokio::time::timeout(limit, late).await.ok()
}

/// An answer, once it comes.
type Awaited = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// An attempt whose answer is awaited.
struct Attempt<C: Claimed>(Option<(C, Awaited)>);

impl<C: Claimed> Attempt<C> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(C, Answer)> {
        let Some((claimed, mut pending)) = self.0.take() else {
            return Poll::Pending;
        };
        match pending.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready((claimed, answer)),
            Poll::Pending => {
                self.0 = Some((claimed, pending));
                Poll::Pending
            }
        }
    }
}

impl<C: Claimed> Drop for Attempt<C> {
    fn drop(&mut self) {
        if let Some((claimed, answer)) = self.0.take() {
            go_on(async move {
                claimed.answered(answer.await);
            });
        }
    }
}
