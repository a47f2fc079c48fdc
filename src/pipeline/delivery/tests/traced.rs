//! The spans of traced requests.

use super::*;
use crate::pipeline::timeline::{Timeline, Traced};
use crate::telemetry::traces::testing::Told;

fn traced(told: &Told) -> Wanted {
    Wanted {
        traced: Some(Box::new(Traced {
            trace: told.begin(),
            topic: "events",
            sink: "scripted",
        })),
        ..Wanted::delivered(true)
    }
}

#[test]
fn a_request_waits_gathers_and_is_sent() {
    let (mut rig, mut told) = (rig(1, Load::new(100, 1 << 20)), Told::new(1));
    rig.submit(&[0], 1);
    let first = rig.hand_over()[0].0;
    rig.submit_as(&traced(&told), &[0, 0], 1);
    rig.now += 30 * MS;
    rig.tell(&[first], Outcome::Delivered, true);
    let sent: Vec<_> = rig
        .hand_over()
        .into_iter()
        .map(|(token, _)| token)
        .collect();
    rig.now += 20 * MS;
    rig.tell(&sent[..1], Outcome::Delivered, true);
    rig.now += 5 * MS;
    rig.tell(&sent[1..], Outcome::Delivered, true);
    assert_eq!(told.take(), ["queue 0", "batch 30", "send 25"]);
}

#[test]
fn each_attempt_has_its_spans() {
    let (mut rig, mut told) = (rig(1, Load::new(100, 1 << 20)), Told::new(1));
    rig.submit_as(&traced(&told), &[0], 1);
    let first = rig.hand_over()[0].0;
    rig.now += 10 * MS;
    rig.tell(&[first], Outcome::Retryable, true);
    rig.now += 50 * MS;
    let again = rig.hand_over()[0].0;
    rig.now += 10 * MS;
    rig.tell(&[again], Outcome::Delivered, true);
    let expected = [
        "queue 0",
        "batch 0",
        "send 10: not delivered",
        "batch 50",
        "send 10",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn each_unit_has_a_span_of_its_own() {
    let (mut rig, mut told) = (rig(2, Load::new(100, 1 << 20)), Told::new(1));
    rig.submit_as(&traced(&told), &[0, 1, 0], 1);
    let sent = rig.hand_over();
    assert_eq!(sent.len(), 3);
    let of = |unit| sent.iter().filter(move |(_, one)| *one == unit);
    let tokens = |unit| of(unit).map(|(token, _)| *token).collect::<Vec<_>>();
    rig.now += 10 * MS;
    rig.tell(&tokens(1), Outcome::Delivered, true);
    rig.now += 10 * MS;
    let rejected = Outcome::Rejected(iem_sink::Reason::Schema);
    rig.tell(&tokens(0), rejected, true);
    let expected = [
        "queue 0",
        "batch 0",
        "send 10",
        "send 20: rejected by the sink",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn records_that_are_never_sent_have_waited_until_they_were_given_up() {
    let (mut rig, mut told) = (rig(1, Load::new(1, 1 << 20)), Told::new(1));
    // As many as the window takes.
    for _ in 0..4 {
        rig.submit(&[0], 1);
    }
    rig.hand_over();
    rig.submit_as(&traced(&told), &[0], 1);
    rig.now += DEADLINE;
    rig.delivery.expire(rig.now);
    assert_eq!(told.take(), ["queue 0", "batch 3000: not delivered"]);
}

#[test]
fn what_arrives_after_the_deadline_is_told_all_the_same() {
    let (mut rig, mut told) = (rig(1, Load::new(100, 1 << 20)), Told::new(1));
    rig.submit_as(&traced(&told), &[0], 1);
    let sent = rig.hand_over()[0].0;
    rig.now += DEADLINE;
    rig.delivery.expire(rig.now);
    rig.now += 500 * MS;
    rig.tell(&[sent], Outcome::Delivered, true);
    assert_eq!(told.take(), ["queue 0", "batch 0", "send 3500"]);
}

#[test]
fn a_part_that_is_never_sent_has_waited_although_another_was_sent() {
    let (mut rig, mut told) = (rig(1, Load::new(1, 1 << 20)), Told::new(1));
    // One more than the window takes.
    rig.submit_as(&traced(&told), &[0; 5], 1);
    let sent: Vec<_> = rig.hand_over();
    assert_eq!(sent.len(), 4);
    rig.now += DEADLINE;
    rig.delivery.expire(rig.now);
    let tokens: Vec<_> = sent.into_iter().map(|(token, _)| token).collect();
    rig.now += 500 * MS;
    rig.tell(&tokens, Outcome::Delivered, true);
    let expected = [
        "queue 0",
        "batch 3000: not delivered",
        "send 3500",
        "send 3500",
        "send 3500",
        "send 3500",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn what_comes_back_too_late_to_be_sent_again_has_not_waited() {
    let (mut rig, mut told) = (rig(1, Load::new(100, 1 << 20)), Told::new(1));
    rig.submit_as(&traced(&told), &[0], 1);
    let sent = rig.hand_over()[0].0;
    rig.now += DEADLINE;
    rig.delivery.expire(rig.now);
    rig.tell(&[sent], Outcome::Retryable, true);
    let expected = ["queue 0", "batch 0", "send 3000: not delivered"];
    assert_eq!(told.take(), expected);
}

#[test]
fn a_sink_that_fails_for_long_is_told_a_few_times() {
    let (mut rig, mut told) = (rig(1, Load::new(100, 1 << 20)), Told::new(1));
    rig.submit_as(&traced(&told), &[0], 1);
    let mut attempts = 0;
    let last = loop {
        rig.now += MS;
        let Some((token, _)) = rig.hand_over().pop() else {
            continue;
        };
        attempts += 1;
        if attempts == 11 {
            break token;
        }
        rig.tell(&[token], Outcome::Retryable, true);
    };
    rig.tell(&[last], Outcome::Delivered, true);
    let spans = told.take();
    let failures = spans.iter().filter(|span| span.ends_with("not delivered"));
    assert_eq!(failures.count(), 10, "each is told, of so few");
    assert_eq!(spans.last().map(String::as_str), Some("send 0"));
}

#[test]
fn what_comes_while_the_worker_takes_has_not_waited() {
    let mut told = Told::new(1);
    let looked_at = Instant::now();
    let traced = traced(&told).traced.expect("it is traced");
    let mut timeline = Timeline::new(*traced, looked_at + MS);
    timeline.taken(1, looked_at);
    timeline.sent((0, 0), 1, looked_at);
    assert_eq!(told.take(), ["queue 0", "batch 0"]);
}

#[test]
fn a_trace_ends_with_the_record_that_it_follows() {
    let mut told = Told::new(2);
    let began = Instant::now();
    let timeline = || {
        let traced = traced(&told).traced.expect("it is traced");
        Timeline::forwarded(*traced, began)
    };
    let (mut sent, left) = (timeline(), timeline());
    sent.settled(Outcome::Delivered);
    sent.ended(began + 5 * MS);
    drop(left);
    let spans = told.take();
    assert_eq!(spans[0], "forward 5");
    assert!(spans[1].ends_with("left in the journal"), "{spans:?}");
    assert_eq!(spans.len(), 2);
}
