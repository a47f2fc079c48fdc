//! The streams of events that keep pages up to date. There is one message for all who look at a page,
//! the latest, and nothing waits behind it: a reader that is slow misses some, and one that takes
//! nothing is dropped by its connection's deadline.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::http::transport::{Answer, Pieces};

/// The time after which a stream ends and its browser opens another: shorter than the idle time of a
/// connection, so that it is asked again who may see it.
const STREAM_TIME: Duration = Duration::from_secs(100);
/// The time that a browser waits before it opens another, in milliseconds.
const RETRY: &str = "retry: 500\n\n";

/// A page that changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PageKey {
    /// The first screen.
    First,
    /// The page of a topic.
    Topic {
        /// The topic's name.
        name: &'static str,
        /// The email of who looks at it, if there was a log-in.
        user: Option<Arc<str>>,
    },
}

/// The streams that are open. The listener bounds how many there are.
#[derive(Default)]
pub(super) struct Streams {
    pages: RefCell<HashMap<PageKey, watch::Sender<Bytes>>>,
    open: RefCell<Vec<Open>>,
}

/// One stream.
struct Open {
    /// Whether its viewer may still look.
    is_admitted: Box<dyn Fn() -> bool>,
    /// Its end, whoever brings that about.
    ended: CancellationToken,
}

impl Streams {
    /// Opens a stream of a page, which goes on while its viewer is admitted.
    pub(super) fn open(&self, page: PageKey, is_admitted: impl Fn() -> bool + 'static) -> Answer {
        self.open_for(page, STREAM_TIME, is_admitted)
    }

    fn open_for(
        &self,
        page: PageKey,
        time: Duration,
        is_admitted: impl Fn() -> bool + 'static,
    ) -> Answer {
        let mut pages = self.pages.borrow_mut();
        let sender = pages.entry(page);
        let sender = sender.or_insert_with(|| watch::Sender::new(Bytes::new()));
        let mut news = sender.subscribe();
        // What was sent before is shown by the page itself.
        news.mark_unchanged();
        let ended = CancellationToken::new();
        self.open.borrow_mut().push(Open {
            is_admitted: Box::new(is_admitted),
            ended: ended.clone(),
        });
        let end = Instant::now() + time;
        let first = Some(Bytes::from_static(RETRY.as_bytes()));
        // Whatever drops the stream has ended it.
        let guard = ended.clone().drop_guard();
        let parts = unfold((first, news, guard), move |(first, mut news, guard)| {
            let ended = ended.clone();
            async move {
                if let Some(first) = first {
                    return Some((first, (None, news, guard)));
                }
                tokio::select! {
                    biased;
                    () = ended.cancelled() => return None,
                    changed = timeout_at(end, news.changed()) => changed.ok()?.ok()?,
                }
                let message = news.borrow_and_update().clone();
                Some((message, (None, news, guard)))
            }
        });
        Answer::new(Pieces::stream(parts))
    }

    /// Ends the streams whose viewers may no longer look. Returns the pages that others look at, and
    /// forgets the rest.
    pub(super) fn watched(&self) -> Vec<PageKey> {
        self.open.borrow_mut().retain(|open| {
            let goes_on = !open.ended.is_cancelled() && (open.is_admitted)();
            if !goes_on {
                open.ended.cancel();
            }
            goes_on
        });
        let mut pages = self.pages.borrow_mut();
        pages.retain(|_, sender| sender.receiver_count() > 0);
        pages.keys().cloned().collect()
    }

    /// Sends the live part of a page to all who look at it.
    pub(super) fn send(&self, page: &PageKey, html: &str) {
        if let Some(sender) = self.pages.borrow().get(page) {
            sender.send_replace(message(html));
        }
    }
}

/// Returns the event of a page: its live part as a string of JSON, on one line.
fn message(html: &str) -> Bytes {
    let data = serde_json::Value::from(html);
    Bytes::from(format!("event: page\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::rc::Rc;

    use hyper::body::Body;

    use super::*;

    async fn next(answer: &mut Answer) -> Option<String> {
        let mut body = pin!(answer.body_mut());
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await?;
        let data = frame.expect("it cannot fail").into_data().expect("data");
        Some(String::from_utf8(data.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn a_slow_reader_has_the_latest_message_alone() {
        let streams = Streams::default();
        let mut answer = streams.open(PageKey::First, || true);
        assert_eq!(next(&mut answer).await.as_deref(), Some(RETRY));
        for text in ["one", "two", "a\n\"<b>\""] {
            streams.send(&PageKey::First, text);
        }
        let expected = "event: page\ndata: \"a\\n\\\"<b>\\\"\"\n\n";
        assert_eq!(next(&mut answer).await.as_deref(), Some(expected));
        let mut body = Pin::new(answer.body_mut());
        let is_pending = poll_fn(|context| {
            std::task::Poll::Ready(body.as_mut().poll_frame(context).is_pending())
        });
        assert!(is_pending.await, "there is no other");
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_viewers_admission() {
        let streams = Streams::default();
        let is_admitted = Rc::new(Cell::new(true));
        let asked = Rc::clone(&is_admitted);
        let mut answer = streams.open(PageKey::First, move || asked.get());
        assert_eq!(next(&mut answer).await.as_deref(), Some(RETRY));
        assert_eq!(streams.watched(), [PageKey::First]);
        is_admitted.set(false);
        streams.watched();
        assert_eq!(next(&mut answer).await, None);
    }

    #[tokio::test]
    async fn pages_nobody_looks_at_are_forgotten() {
        let streams = Streams::default();
        let answer = streams.open(PageKey::First, || true);
        assert_eq!(streams.watched(), [PageKey::First]);
        assert_eq!(streams.open.borrow().len(), 1);
        drop(answer);
        assert_eq!(streams.watched(), []);
        assert!(streams.open.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_stream_ends_after_its_time() {
        let streams = Streams::default();
        let mut answer = streams.open_for(PageKey::First, Duration::ZERO, || true);
        assert_eq!(next(&mut answer).await.as_deref(), Some(RETRY));
        assert_eq!(next(&mut answer).await, None);
    }
}
