//! The records of a worker, step by step: what is handed over, and when.

mod traced;

use std::sync::Arc;

use iem_sink::testing::record;
use iem_sink::{DeliveryToken, Sending};
use tokio::sync::oneshot;

use super::*;
use crate::pipeline::budget::Budget;
use crate::pipeline::receipt::Share;
use crate::pipeline::submission::Wanted;
use crate::shares::Claims;

const MS: Duration = Duration::from_millis(1);
const DEADLINE: Duration = Duration::from_secs(3);
const QUEUE: usize = 1000;

/// A worker's records; the key of each one is the number of its unit.
struct Rig {
    delivery: Delivery,
    budget: Arc<Budget>,
    replies: Vec<oneshot::Receiver<Share>>,
    now: Instant,
}

fn rig(units: usize, batch: Load) -> Rig {
    let limits = Limits {
        batch,
        stalled: Load::new(QUEUE / 2, 1 << 20),
        deadline: DEADLINE,
        linger: Duration::ZERO,
        is_persistent: false,
    };
    let mut delivery = Delivery::new(limits, None, Box::new(|| 0.0));
    delivery.assign(units, unit_of);
    Rig {
        delivery,
        budget: Budget::new(QUEUE, 2 << 20),
        replies: Vec::new(),
        now: Instant::now(),
    }
}

fn unit_of(record: &Record) -> usize {
    record.key.parse().expect("a number")
}

impl Rig {
    /// Submits a request with a record of `bytes` for each of `units`. Returns whether the topic has
    /// the budget.
    fn submit(&mut self, units: &[usize], bytes: usize) -> bool {
        self.submit_as(&Wanted::delivered(true), units, bytes)
    }

    /// Does the same for a request that wants this.
    fn submit_as(&mut self, wanted: &Wanted, units: &[usize], bytes: usize) -> bool {
        let records: Vec<Record> = units
            .iter()
            .map(|unit| record(&unit.to_string(), vec![b'x'; bytes]))
            .collect();
        let Ok(reservation) =
            self.budget
                .reserve(units.len(), units.len() * bytes, Claims::default())
        else {
            return false;
        };
        let (submission, reply) = Submission::new(
            records.into(),
            reservation,
            self.now + DEADLINE,
            wanted,
            self.now,
        );
        self.replies.push(reply);
        self.delivery.accept(submission, self.now, unit_of);
        true
    }

    /// Hands all over that is due. Returns the tokens and the units.
    fn hand_over(&mut self) -> Vec<(DeliveryToken, usize)> {
        let mut sent = Vec::new();
        while self.delivery.next_batch(Terms::default(), self.now).is_ok() {
            let one = |one: &Sending<'_>| (one.token, unit_of(one.record));
            sent.extend(self.delivery.batch().iter().map(one));
        }
        sent
    }

    fn tell(&mut self, tokens: &[DeliveryToken], outcome: Outcome, keeps_order: bool) {
        let mut settled = Settled::default();
        for token in tokens {
            settled.tell(*token, outcome);
        }
        self.delivery.settle(&settled, keeps_order, self.now);
    }

    /// Delivers what was handed over, but for the units of `dead`.
    fn deliver(&mut self, dead: &[usize]) {
        let sent = self.hand_over();
        let live: Vec<_> = sent
            .into_iter()
            .filter(|(_, unit)| !dead.contains(unit))
            .map(|(token, _)| token)
            .collect();
        self.tell(&live, Outcome::Delivered, true);
    }
}

#[test]
fn a_record_is_not_sent_behind_its_successor() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    rig.submit(&[0], 1);
    let first = rig.hand_over()[0].0;
    rig.submit(&[0], 1);
    rig.now += 150 * MS;
    let second = rig.hand_over()[0].0;
    rig.tell(&[first], Outcome::Retryable, true);
    rig.tell(&[second], Outcome::Delivered, true);
    rig.now += 50 * MS;
    assert_eq!(rig.hand_over(), []);
    let reply = rig.replies[0].try_recv().expect("an answer");
    assert_eq!(reply.outcomes.as_slice(), [Outcome::Retryable]);
}

#[test]
fn a_failed_record_goes_again_before_its_successors() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    rig.submit(&[0], 1);
    let first = rig.hand_over()[0].0;
    rig.submit(&[0], 1);
    rig.tell(&[first], Outcome::Retryable, true);
    assert_eq!(rig.hand_over(), [], "it waits a little");
    rig.now += 50 * MS;
    let again = rig.hand_over();
    assert_eq!((again.len(), again[0].0), (2, first));
}

#[test]
fn a_dead_unit_takes_half_of_the_budget_and_no_more() {
    // A unit of one's own, one with others in each request, and a worker that has no other unit.
    for units in [&[0][..], &[0, 1, 1, 1, 1, 1, 1, 1, 1, 1]] {
        let mut rig = rig(2, Load::new(100, 1 << 20));
        for _ in 0..500 {
            assert!(rig.submit(units, 2_000), "there is budget for others");
            rig.deliver(&[0]);
            rig.now += 5 * MS;
        }
        assert!(rig.budget.records() <= QUEUE / 2 + 10);
        assert!(rig.budget.bytes() <= (1 << 20));
        assert!(rig.budget.bytes() > (1 << 20) / 2, "it has its half");
    }
}

#[test]
fn a_large_record_does_not_wait_for_the_small_ones() {
    let mut rig = rig(3, Load::new(100, 1024));
    let mut under_way = std::collections::VecDeque::new();
    for step in 0..200 {
        if step == 20 {
            rig.submit(&[0], 5_000);
        }
        rig.submit(&[1 + step % 2], 1_000);
        for (token, unit) in rig.hand_over() {
            if unit == 0 {
                return;
            }
            under_way.push_back((rig.now + 30 * MS, token));
        }
        rig.now += 5 * MS;
        while under_way.front().is_some_and(|(at, _)| *at <= rig.now) {
            let (_, token) = under_way.pop_front().expect("a token");
            rig.tell(&[token], Outcome::Delivered, true);
        }
    }
    panic!("the large record was never handed over");
}

#[test]
fn one_unit_alone_uses_the_whole_window() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    for _ in 0..QUEUE {
        rig.submit(&[0], 1);
    }
    assert_eq!(rig.hand_over().len(), 400);
}

#[test]
fn units_that_settle_nothing_leave_a_part_of_the_window() {
    let mut rig = rig(4, Load::new(100, 1 << 20));
    for _ in 0..100 {
        rig.submit(&[0, 1, 2], 1);
        rig.hand_over();
        rig.now += 25 * MS;
    }
    assert!(rig.delivery.in_flight.records <= 300);
    rig.submit(&[3], 1);
    assert_eq!(rig.hand_over().len(), 1);
}

#[test]
fn a_straggler_does_not_hold_up_later_batches() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    rig.submit(&[0, 0], 1);
    let sent = rig.hand_over();
    rig.tell(&[sent[0].0], Outcome::Delivered, false);
    rig.now += 150 * MS;
    for _ in 0..3 {
        rig.submit(&[0], 1);
        let next = rig.hand_over();
        assert_eq!(next.len(), 1, "the one before has settled");
        rig.tell(&[next[0].0], Outcome::Delivered, false);
        rig.now += 10 * MS;
    }
}

#[test]
fn failures_at_once_lengthen_the_wait_once() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    rig.submit(&[0; 20], 1);
    for (token, _) in rig.hand_over() {
        rig.tell(&[token], Outcome::Retryable, false);
    }
    rig.now += 10 * MS;
    assert_eq!(rig.hand_over().len(), 20);
}

#[test]
fn a_stall_is_no_round_trip() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    for _ in 0..30 {
        rig.submit(&[0], 1);
        let sent = rig.hand_over();
        rig.now += 10 * MS;
        rig.tell(&[sent[0].0], Outcome::Delivered, true);
    }
    // Everything stands still for 1.4 s, while batches go out.
    let mut under_way = Vec::new();
    for _ in 0..14 {
        rig.submit(&[0], 1);
        under_way.extend(rig.hand_over().into_iter().map(|(token, _)| token));
        rig.now += 100 * MS;
    }
    rig.tell(&under_way, Outcome::Delivered, true);
    rig.submit(&[0], 1);
    rig.now += DEADLINE.saturating_sub(700 * MS);
    assert_eq!(rig.hand_over().len(), 1, "700 ms are enough");
}

#[test]
fn what_can_no_longer_be_in_time_is_given_up_before_what_can() {
    let mut rig = rig(1, Load::new(100, 1 << 20));
    for _ in 0..30 {
        rig.submit(&[0], 1);
        let sent = rig.hand_over();
        rig.now += 200 * MS;
        rig.tell(&[sent[0].0], Outcome::Delivered, true);
    }
    rig.submit(&[0], 1);
    rig.now += DEADLINE.saturating_sub(100 * MS);
    rig.submit(&[0], 2);
    let sent = rig.hand_over();
    assert_eq!(sent.len(), 1);
    assert_eq!(rig.delivery.in_flight.bytes, 2, "the later one");
}
