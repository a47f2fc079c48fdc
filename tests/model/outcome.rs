//! The fate of one request's records at a planned sink: a pure model of retries until the deadline.

use std::collections::VecDeque;

use iem_sink::Outcome;
use iem_sink::Record;

use super::contract::{Delivery, PUBLISHED, SUCCESS, Says, Verdict};
use super::record::LATE;
use super::words::{Act, Kind, Plan};

/// The fate of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    Failed,
    Rejected,
}

/// The part of a topic's plan that its sink has not done yet.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    next: VecDeque<Act>,
    then: Act,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            then: Act::Deliver,
        }
    }
}

impl From<&Plan> for Standing {
    fn from(plan: &Plan) -> Self {
        Self {
            next: plan.once.iter().copied().collect(),
            then: plan.then,
        }
    }
}

impl Standing {
    pub(crate) fn then(&self) -> Act {
        self.then
    }

    /// Forgets what is to happen once.
    pub(crate) fn settle(&mut self) {
        self.next.clear();
    }

    /// The fates of a request's records, and whether one is still at the sink.
    pub(crate) fn take(&mut self, deliveries: &[Delivery]) -> (Vec<Fate>, bool) {
        let mut fates: Vec<Option<Fate>> = vec![None; deliveries.len()];
        loop {
            let (act, again) = match self.next.pop_front() {
                Some(act) => (act, true),
                None => (self.then, false),
            };
            for (fate, delivery) in fates
                .iter_mut()
                .zip(deliveries)
                .filter(|(fate, _)| fate.is_none())
            {
                *fate = match act {
                    Act::Deliver | Act::Slow => Some(Fate::Delivered),
                    Act::Permanent | Act::Late | Act::PastDeadline => Some(Fate::Failed),
                    Act::Transient | Act::Panic => None,
                    Act::Mark => marked(delivery),
                    Act::MarkForGood => marked(delivery).or(Some(Fate::Failed)),
                };
            }
            let open = fates.contains(&None);
            if !open || !again {
                // What the standing act leaves open it leaves open until the deadline.
                let fates = fates
                    .into_iter()
                    .map(|fate| fate.unwrap_or(Fate::Failed))
                    .collect();
                return (fates, act == Act::PastDeadline);
            }
        }
    }
}

fn marked(delivery: &Delivery) -> Option<Fate> {
    if delivery.key.ends_with(LATE) {
        None
    } else if delivery.never {
        Some(Fate::Rejected)
    } else {
        Some(Fate::Delivered)
    }
}

/// The same, as the scripted sink does it to a record that came to it.
pub(crate) fn mark(record: &Record) -> Outcome {
    let never = br#""fate":"never""#;
    if record.key.ends_with(LATE) {
        Outcome::Retryable
    } else if record
        .data
        .windows(never.len())
        .any(|window| window == never)
    {
        Outcome::Rejected(iem_sink::Reason::TooLarge { limit: 1 })
    } else {
        Outcome::Delivered
    }
}

/// Returns the answer that a client gets for its records.
pub(crate) fn verdict(kind: Kind, fates: &[Fate]) -> Verdict {
    let of = |fate| {
        fates
            .iter()
            .enumerate()
            .filter(|(_, it)| **it == fate)
            .map(|(index, _)| index)
            .collect()
    };
    let (mut failed, rejected): (Vec<usize>, Vec<usize>) = (of(Fate::Failed), of(Fate::Rejected));
    if failed.is_empty() && rejected.is_empty() {
        let message = if kind == Kind::Ticket {
            SUCCESS
        } else {
            PUBLISHED
        };
        return Verdict::of(200, Says::Message(message));
    }
    let status = if failed.is_empty() { 413 } else { 503 };
    // Where nothing was confirmed there is nothing to tell apart.
    if failed.len() == fates.len() {
        failed.clear();
    }
    Verdict {
        failed,
        rejected,
        ..Verdict::of(status, Says::Something)
    }
}
