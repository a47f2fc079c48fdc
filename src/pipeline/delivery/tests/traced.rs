//! The spans of traced requests.

use super::*;
use crate::pipeline::timeline::Traced;
use crate::telemetry::traces::testing::Told;

fn traced(told: &Told) -> Wanted {
    Wanted {
        traced: Some(Traced {
            trace: told.begin(),
            topic: "events",
            sink: "scripted",
        }),
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
