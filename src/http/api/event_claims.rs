//! The claims of a request's events, each on a key of its own: events that an earlier request has
//! delivered are left out, and those that another one is delivering are waited for.

use std::collections::HashMap;
use std::time::Instant;

use iem_sink::{Digests, Outcome};

use super::ingest::{Accepted, of_record};
use super::rejection::Rejection;
use super::resources::Resources;
use crate::config::Durability;
use crate::idempotency::{Claim, HeldEach, Known, Settled, UnderWay};
use crate::pipeline::Outcomes;
use crate::record::Kind;

/// The events of a request, by the kinds of their records.
pub(super) struct Events {
    pub(super) parts: Vec<Part>,
    /// The body may hold several events, so that a rejection names the one at fault.
    pub(super) indexed: bool,
}

/// The records of a request that are of one kind.
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) accepted: Accepted,
    /// The index of each record in the request.
    pub(super) indexes: Vec<usize>,
    /// The key of each record's event, and the digest of its data; none if the window does not know the
    /// events.
    pub(super) digests: Vec<Digests>,
}

/// The records of one kind that a request delivers itself.
pub(super) struct OwnPart {
    pub(super) kind: Kind,
    pub(super) accepted: Accepted,
    /// The index of each record in the request.
    pub(super) indexes: Vec<usize>,
    /// The keys of the records that have a place in the window.
    pub(super) held: HeldEach,
}

/// The events of a request that it does not deliver itself.
#[derive(Default)]
pub(super) struct Others {
    /// Events that have their outcomes, by their indexes.
    settled: Vec<(usize, Outcome)>,
    /// The durability of the delivered ones.
    durability: Option<Durability>,
    /// Events that are under way, and the end of the wait for them.
    under_way: Vec<(usize, Instant, UnderWay)>,
    /// Events that come twice and have no place in the window, with the index of the first.
    twice: Vec<(usize, usize)>,
}

/// Claims the keys of a request's events. What it has to deliver itself keeps the keys, which are
/// given back when it is dropped.
///
/// # Errors
/// The first event that another one with its key and other data, or less durability, came before.
pub(super) fn claim(
    resources: &Resources,
    events: Events,
    asked: Option<Durability>,
) -> Result<(Vec<OwnPart>, Others), Rejection> {
    let now = Instant::now();
    let mut own = Vec::with_capacity(events.parts.len());
    let mut others = Others::default();
    let mut reused: Option<usize> = None;
    for part in events.parts {
        match others.claim_part(resources, part, asked, now) {
            Ok(part) => own.extend(part),
            Err(index) => reused = Some(reused.map_or(index, |first| first.min(index))),
        }
    }
    match reused {
        None => Ok((own, others)),
        Some(index) if events.indexed => Err(of_record(index, Rejection::EventReused)),
        Some(_) => Err(Rejection::EventReused),
    }
}

impl Others {
    /// Claims the keys of the events of one kind. Returns those that are left to be delivered.
    ///
    /// # Errors
    /// The index of the first event whose key is another one's.
    fn claim_part(
        &mut self,
        resources: &Resources,
        part: Part,
        asked: Option<Durability>,
        now: Instant,
    ) -> Result<Option<OwnPart>, usize> {
        let Part {
            kind,
            mut accepted,
            mut indexes,
            digests,
        } = part;
        if digests.is_empty() {
            return Ok(Some(OwnPart {
                kind,
                accepted,
                indexes,
                held: HeldEach::default(),
            }));
        }
        let until = now + resources.topic(kind).pipeline.deadline();
        let mut left = Vec::with_capacity(indexes.len());
        let mut held = HeldEach::default();
        let mut without_place: HashMap<[u8; 32], (usize, [u8; 32])> = HashMap::new();
        for (position, (digests, index)) in digests.iter().zip(&indexes).enumerate() {
            if let Some((first, body)) = without_place.get(&digests.key) {
                if *body != digests.body {
                    return Err(*index);
                }
                self.twice.push((*index, *first));
                continue;
            }
            let user = &accepted.records[position].context.user;
            match resources.window.claim(user, digests, asked, now) {
                Claim::Held(one) => {
                    held.push(left.len(), one);
                    left.push(position);
                }
                Claim::NoPlace => {
                    without_place.insert(digests.key, (*index, digests.body));
                    left.push(position);
                }
                Claim::Known(Known::Reused) => return Err(*index),
                Claim::Known(Known::UnderWay(other)) => {
                    self.under_way.push((*index, until, other));
                }
                Claim::Known(Known::Settled(settled)) => self.note(*index, &settled),
                Claim::Known(Known::Delivered(durability)) => {
                    self.delivered(*index, durability);
                }
            }
        }
        if left.is_empty() {
            return Ok(None);
        }
        if left.len() < indexes.len() {
            accepted.retain(&left);
            indexes = left.iter().map(|position| indexes[*position]).collect();
        }
        Ok(Some(OwnPart {
            kind,
            accepted,
            indexes,
            held,
        }))
    }

    /// Notes the outcome of an event that another request had.
    fn note(&mut self, index: usize, settled: &Settled) {
        match settled.outcomes.first() {
            Some(Outcome::Delivered) => self.delivered(index, settled.durability),
            Some(outcome) => self.settled.push((index, *outcome)),
            None => {}
        }
    }

    fn delivered(&mut self, index: usize, durability: Durability) {
        self.settled.push((index, Outcome::Delivered));
        let least = self.durability.unwrap_or(durability);
        self.durability = Some(least.min(durability));
    }

    /// Waits for the events that are under way, each at most for the time that its own delivery would
    /// take, and puts the outcomes of all into those of the request. Returns the least durability of
    /// the delivered ones.
    pub(super) async fn join(
        mut self,
        outcomes: &mut Outcomes,
        asked: Option<Durability>,
    ) -> Option<Durability> {
        for (index, until, other) in std::mem::take(&mut self.under_way) {
            // If the other request was refused before a sink could have the event, or less holds than
            // the client asks for, it is not confirmed.
            if let Some(settled) = other.outcomes(until).await
                && (!settled.has_delivered()
                    || asked.is_none_or(|asked| asked <= settled.durability))
            {
                self.note(index, &settled);
            }
        }
        for (index, outcome) in self.settled {
            outcomes[index] = outcome;
        }
        for (index, first) in self.twice {
            outcomes[index] = outcomes[first];
        }
        self.durability
    }
}
