//! Records that the sink refuses, and that are kept: nobody waits for the disk.

use iem_sink::Sink as _;
use std::task::Waker;

use super::*;

/// The bytes of one record of these tests.
const BYTES: usize = r#"{"n":1}"#.len();

/// A pipeline whose sink refuses the records of the key `bad`, and the files that they go to. So
/// many of them may wait.
fn keeping(waiting: usize, bytes_max: u64) -> (Rig, ScriptedSink) {
    let files = ScriptedSink::new();
    let writer = files.writer(&settings().for_sink(), Waker::noop().clone());
    let rejected = RejectedParts {
        dead_letters: DeadLetterPlace {
            writer: writer.expect("it takes the topic"),
            folder: "/nowhere".into(),
            bytes_max,
        },
        bytes_max: waiting * BYTES,
    };
    let rig = rig_that_keeps(&settings(), Some(rejected));
    let bad = Arc::new(|record: &Record| &*record.key == "bad");
    rig.sink
        .set("events", Behaviour::Reject(bad, Reason::Schema));
    (rig, files)
}

fn bad() -> Record {
    numbered("bad", 1)
}

fn kept_and_lost(vitals: &Vitals) -> (u64, u64) {
    (vitals.dead_lettered(), vitals.dead_letters_lost())
}

#[track_caller]
fn await_kept(vitals: &Vitals, kept: u64) {
    let end = soon();
    while vitals.dead_lettered() < kept {
        assert!(Instant::now() < end, "{:?}", kept_and_lost(vitals));
        std::thread::yield_now();
    }
}

#[test]
fn a_disk_that_hangs_holds_nobody_up_and_what_does_not_fit_is_counted() {
    let (rig, files) = keeping(5, 1 << 20);
    files.set("events", Behaviour::StallPastDeadline);
    let vitals = rig.pipeline.vitals();
    let refused = rig.submit((0..20).map(|_| bad())).expect("room");
    let refused = outcomes(refused);
    assert_eq!(refused, [Outcome::Rejected(Reason::Schema); 20]);
    let others = rig.submit([numbered("good", 1), bad()]).expect("room");
    let [good, refused] = outcomes(others)[..] else {
        panic!("two outcomes");
    };
    assert_eq!(good, Outcome::Delivered);
    assert_eq!(refused, Outcome::Rejected(Reason::Schema));
    assert_eq!(kept_and_lost(&vitals), (0, 16));
    files.set("events", Behaviour::Deliver);
    await_kept(&vitals, 5);
    let letters = files.log("events").delivered;
    assert_eq!(letters.len(), 5);
    for letter in letters {
        assert_eq!(letter.data, bad().data);
        let reason = letter.context.rejection.as_deref();
        assert_eq!(reason, Some("not of the topic's schema"));
    }
    let refused = rig.submit([bad()]).expect("room");
    assert_eq!(outcomes(refused), [Outcome::Rejected(Reason::Schema)]);
    await_kept(&vitals, 6);
    assert_eq!(kept_and_lost(&vitals), (6, 16));
    assert_eq!(rig.settled(), (1, 22, 0));
}

#[test]
fn a_record_is_lost_when_the_disk_fails_twice_or_there_is_no_room() {
    // A record counts its attributes, too.
    let (rig, files) = keeping(100, 2_000);
    let vitals = rig.pipeline.vitals();
    let refuse = |failures: usize| {
        for _ in 0..failures {
            files.once("events", Behaviour::Fail(transient()));
        }
        let before = kept_and_lost(&vitals);
        let refused = rig.submit([bad()]).expect("room");
        assert_eq!(outcomes(refused), [Outcome::Rejected(Reason::Schema)]);
        let end = soon();
        while kept_and_lost(&vitals) == before {
            assert!(Instant::now() < end, "it is kept or lost");
            std::thread::yield_now();
        }
        kept_and_lost(&vitals)
    };
    assert_eq!(refuse(1), (1, 0));
    assert_eq!(refuse(2), (1, 1));
    assert_eq!(refuse(0), (2, 1));
    assert_eq!(refuse(0), (3, 1));
    assert_eq!(refuse(0), (3, 2), "there are as many as there may be");
    assert!(rig.pipeline.close(soon()));
}

#[test]
fn a_record_without_room_does_not_take_others_along() {
    let (rig, files) = keeping(1000, 2_000);
    files.set("events", Behaviour::StallPastDeadline);
    let vitals = rig.pipeline.vitals();
    let large = Record {
        data: vec![b'x'; 2_000].into(),
        ..bad()
    };
    // The first one is written alone, and the others wait for it.
    for records in [vec![bad()], vec![bad(), large.clone(), large, bad()]] {
        let refused = rig.submit(records).expect("room");
        let refused = outcomes(refused);
        assert!(
            refused
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Rejected(_)))
        );
        files.wait_for("events", |log| log.waiting == 1);
    }
    files.set("events", Behaviour::Deliver);
    await_kept(&vitals, 3);
    assert_eq!(kept_and_lost(&vitals), (3, 2));
    assert!(rig.pipeline.close(soon()));
}

#[test]
fn closing_writes_what_waits_and_waits_no_longer_than_it_may() {
    for is_in_time in [true, false] {
        let (rig, files) = keeping(100, 1 << 20);
        files.set("events", Behaviour::StallPastDeadline);
        let vitals = rig.pipeline.vitals();
        let refused = rig.submit((0..3).map(|_| bad())).expect("room");
        assert_eq!(outcomes(refused), [Outcome::Rejected(Reason::Schema); 3]);
        files.wait_for("events", |log| log.waiting == 1);
        if is_in_time {
            let closing = std::thread::spawn(move || rig.pipeline.close(soon()));
            files.set("events", Behaviour::Deliver);
            assert!(closing.join().expect("it does not panic"));
            assert_eq!(kept_and_lost(&vitals), (3, 0));
            assert_eq!(files.log("events").delivered.len(), 3);
        } else {
            let soon = Instant::now() + Duration::from_millis(50);
            assert!(!rig.pipeline.close(soon));
            assert_eq!(kept_and_lost(&vitals), (0, 3));
            files.release("events");
        }
    }
}
