//! Tests of the oracle.

use super::*;

const LIMITS: Limits = Limits {
    keys: 4,
    numbers: 1000,
};

fn mark(key: u32, number: u32) -> Mark {
    Mark { key, number }
}

/// Judges a run whose records of key 0 have these numbers.
fn judge(acknowledged: &[u32], found: &[u32]) -> Verdict {
    let mut oracle = Oracle::new(LIMITS);
    for number in acknowledged {
        assert!(oracle.acknowledge(&Batch {
            key: 0,
            numbers: *number..number + 1,
        }));
    }
    for number in found {
        oracle.see(mark(0, *number));
    }
    oracle.verdict()
}

#[test]
fn a_run_without_fault_has_a_clean_verdict() {
    let verdict = judge(&[0, 1, 2], &[0, 1, 2]);
    let expected = Verdict {
        acknowledged: 3,
        lost: 0,
        first_lost: Vec::new(),
        twice: 0,
        out_of_order: 0,
        unacknowledged: 0,
    };
    assert_eq!(verdict, expected);
}

#[test]
fn lost_records_are_counted_and_the_first_are_named() {
    let numbers: Vec<u32> = (0..500).collect();
    let verdict = judge(&numbers, &numbers[..100]);
    assert_eq!(verdict.lost, 400);
    let named: Vec<u32> = verdict.first_lost.iter().map(|mark| mark.number).collect();
    assert_eq!(named, (100..110).collect::<Vec<_>>());
    assert_eq!(judge(&[63, 64, 128], &[63, 128]).first_lost, [mark(0, 64)]);
}

#[test]
fn a_record_that_comes_often_is_twice_once() {
    let verdict = judge(&[0, 1], &[0, 0, 1, 0]);
    assert_eq!(
        (verdict.twice, verdict.out_of_order, verdict.lost),
        (1, 0, 0)
    );
    assert_eq!(judge(&[], &[5, 5]).twice, 1, "acknowledged or not");
}

#[test]
fn order_is_that_of_first_appearances_of_acknowledged_records() {
    for (acknowledged, found, out_of_order) in [
        (&[0, 1, 2][..], &[0, 2, 1][..], 1),
        (&[0, 1, 2], &[2, 0, 1], 2),
        (&[0, 1, 2], &[0, 1, 2, 0, 1], 0),
        // 1 was not acknowledged: it may come late.
        (&[0, 2], &[0, 2, 1], 0),
        (&[0, 2], &[0, 1, 2], 0),
    ] {
        let verdict = judge(acknowledged, found);
        assert_eq!(
            verdict.out_of_order, out_of_order,
            "{acknowledged:?} {found:?}"
        );
    }
}

#[test]
fn each_key_has_an_order_of_its_own() {
    let mut oracle = Oracle::new(LIMITS);
    for key in [0, 3] {
        oracle.acknowledge(&Batch { key, numbers: 0..2 });
    }
    for (key, number) in [(3, 0), (3, 1), (0, 0), (0, 1)] {
        oracle.see(mark(key, number));
    }
    assert!(oracle.is_complete());
    assert_eq!(oracle.verdict().out_of_order, 0);
}

#[test]
fn unacknowledged_records_are_counted_apart() {
    let verdict = judge(&[0], &[0, 1, 2]);
    assert_eq!((verdict.unacknowledged, verdict.lost), (2, 0));
}

#[test]
fn a_reader_that_begins_anew_counts_nothing_twice() {
    let mut oracle = Oracle::new(LIMITS);
    oracle.acknowledge(&Batch {
        key: 0,
        numbers: 0..2,
    });
    for _ in 0..2 {
        oracle.begin_anew();
        oracle.see(mark(0, 0));
        oracle.see(mark(0, 1));
    }
    let verdict = oracle.verdict();
    assert_eq!(
        (verdict.twice, verdict.out_of_order, verdict.lost),
        (0, 0, 0)
    );
    oracle.begin_anew();
    assert_eq!(oracle.verdict().lost, 2);
}

#[test]
fn numbers_beyond_the_limits_are_none_of_the_run() {
    let mut oracle = Oracle::new(LIMITS);
    oracle.see(mark(4, 0));
    oracle.see(mark(0, 1000));
    assert_eq!(oracle.verdict().unacknowledged, 0);
    assert!(!oracle.acknowledge(&Batch {
        key: 4,
        numbers: 0..1
    }));
    assert!(!oracle.acknowledge(&Batch {
        key: 0,
        numbers: 999..1001
    }));
}

#[test]
fn an_acknowledgement_that_is_repeated_counts_once() {
    assert_eq!(judge(&[0, 0], &[0]).acknowledged, 1);
}
