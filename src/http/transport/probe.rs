//! A question to every serving thread whether it still runs.

use tokio::sync::{mpsc, oneshot};

use super::thread::Message;

/// A probe of the serving threads. It does not keep them from ending.
pub struct Probe(Vec<mpsc::WeakUnboundedSender<Message>>);

impl Probe {
    pub(super) fn new<'a>(
        threads: impl IntoIterator<Item = &'a mpsc::UnboundedSender<Message>>,
    ) -> Self {
        let threads = threads.into_iter();
        Self(threads.map(mpsc::UnboundedSender::downgrade).collect())
    }

    /// Asks every thread. Returns `true` once all have answered, `false` if one has ended, and
    /// nothing while one hangs.
    pub async fn all_answer(&self) -> bool {
        let mut answers = Vec::with_capacity(self.0.len());
        for thread in &self.0 {
            let (answer, answered) = oneshot::channel();
            let Some(thread) = thread.upgrade() else {
                return false;
            };
            if thread.send(Message::Probe(answer)).is_err() {
                return false;
            }
            answers.push(answered);
        }
        for answered in answers {
            if answered.await.is_err() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;

    fn answer(thread: &mut UnboundedReceiver<Message>) {
        let Ok(Message::Probe(answer)) = thread.try_recv() else {
            panic!("no question");
        };
        let _ = answer.send(());
    }

    #[test]
    fn a_thread_that_hangs_has_no_answer_given_and_one_that_ended_a_no() {
        let (one, mut first) = mpsc::unbounded_channel();
        let (other, mut second) = mpsc::unbounded_channel();
        let probe = Probe::new([&one, &other]);

        let mut both = pin!(probe.all_answer());
        assert_eq!(both.as_mut().now_or_never(), None);
        answer(&mut first);
        assert_eq!(both.as_mut().now_or_never(), None, "one hangs");
        answer(&mut second);
        assert_eq!(both.now_or_never(), Some(true));

        let mut asked = pin!(probe.all_answer());
        assert_eq!(asked.as_mut().now_or_never(), None);
        answer(&mut first);
        drop(second);
        assert_eq!(asked.now_or_never(), Some(false), "one ends while asked");
        assert_eq!(probe.all_answer().now_or_never(), Some(false));
    }

    #[test]
    fn a_probe_does_not_keep_a_thread_from_ending() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let probe = Probe::new([&sender]);
        drop(sender);
        assert!(receiver.blocking_recv().is_none());
        assert_eq!(probe.all_answer().now_or_never(), Some(false));
    }
}
