//! The idempotency keys of requests that the journals have, for the window of a gateway that starts.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use iem_journal::{Export, Selection};
use iem_sink::Context;

use crate::background::Background;
use crate::config::Config;
use crate::idempotency::{Digester, Window};
use crate::record::Kind;

/// The records between two looks whether the gateway ends.
const RECORDS_PER_LOOK: usize = 1_000;

/// The records of the journals before they are opened.
pub(super) struct JournaledKeys {
    journals: Vec<Export>,
    time: Duration,
}

impl JournaledKeys {
    /// Looks at the journals, which are not open yet. One that cannot be read is left out: what is
    /// wrong with it is told when it is opened.
    pub(super) fn find(config: &Config) -> Self {
        let kinds = Kind::ALL.into_iter();
        let journaled = kinds.filter(|kind| config.topics[*kind as usize].is_journaled());
        let folders = journaled.map(|kind| config.journal.path.join(kind.topic()));
        let since = SystemTime::now().checked_sub(config.idempotency.window);
        let selection = Selection::AcknowledgedSince(since.unwrap_or(SystemTime::UNIX_EPOCH));
        Self {
            journals: folders
                .filter_map(|folder| Export::open(&folder, selection).ok())
                .collect(),
            time: config.idempotency.window,
        }
    }

    /// Starts the thread that reads the keys into the window. It ends with the value returned.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn restore(self, window: &Arc<Window>) -> io::Result<Background> {
        let window = Arc::clone(window);
        Background::start("journaled-keys", move |signals| {
            let clock = (Instant::now(), SystemTime::now());
            let mut request = None;
            let records = self.journals.into_iter().flatten();
            for (index, record) in records.enumerate() {
                if index % RECORDS_PER_LOOK == 0 && !signals.wait(Duration::ZERO) {
                    return;
                }
                // A part that cannot be read is told by the forwarder.
                let Ok((_, record)) = record else {
                    continue;
                };
                let is_same = |request: &Found| Arc::ptr_eq(&request.context, &record.context);
                if !request.as_ref().is_some_and(is_same) {
                    restore(request.take(), &window, self.time, clock);
                    request = Found::begin(&record.context);
                }
                if let Some(request) = &mut request {
                    request.digester.next_id(&record.data);
                }
            }
            restore(request, &window, self.time, clock);
        })
    }
}

/// A request of a journal, as far as it was read.
struct Found {
    context: Arc<Context>,
    digester: Digester,
}

impl Found {
    fn begin(context: &Arc<Context>) -> Option<Self> {
        let digests = context.digests.as_ref()?;
        Some(Self {
            context: Arc::clone(context),
            digester: Digester::of(digests.key),
        })
    }
}

/// Puts the key of a request into the window, if its records are all there and its time is not over.
fn restore(
    request: Option<Found>,
    window: &Window,
    time: Duration,
    (now, clock): (Instant, SystemTime),
) {
    let Some(Found { context, digester }) = request else {
        return;
    };
    let digests = digester.finish();
    let age = clock.duration_since(context.time).unwrap_or_default();
    if context.digests.as_deref() == Some(&digests)
        && age < time
        && let Some(since) = now.checked_sub(age)
    {
        window.restore(&context.user, &digests, since);
    }
}
