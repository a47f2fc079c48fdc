//! Tests of the verdict.

use std::time::{Instant, SystemTime};

use super::*;
use crate::admin::console::overview::{DirectoryPart, JournalPart, Ledger};
use crate::telemetry::{Counts, Snapshot};

fn moment() -> Moment {
    Moment {
        at: Instant::now(),
        clock: SystemTime::UNIX_EPOCH,
        name: String::new(),
        draining: false,
        snapshot: Snapshot::default(),
        sinks: Vec::new(),
        counts: Counts::default(),
        customers: Vec::new(),
        faulty_files: Vec::new(),
        keys: Vec::new(),
    }
}

fn topic() -> TopicPart {
    TopicPart {
        name: "events".to_owned(),
        sink: "kafka".to_owned(),
        ..TopicPart::default()
    }
}

#[track_caller]
fn check(overview: &Overview, level: Level, words: &[&str]) {
    let verdict = verdict(overview, &moment());
    assert_eq!(verdict.level, level, "{verdict:?}");
    assert_eq!(verdict.reasons.len(), words.len(), "{verdict:?}");
    for (reason, words) in verdict.reasons.iter().zip(words) {
        let text = format!("{}: {}", reason.subject, reason.text);
        assert!(text.contains(words), "{text} does not say {words}");
    }
}

fn check_topic(topic: TopicPart, level: Level, words: &[&str]) {
    let overview = Overview {
        topics: vec![topic],
        ..Overview::default()
    };
    check(&overview, level, words);
}

#[test]
fn nothing_is_wrong_with_a_gateway_that_does_nothing() {
    check(&Overview::default(), Level::Good, &[]);
    check_topic(topic(), Level::Good, &[]);
}

#[test]
fn a_sink_that_is_away_is_worse_without_a_journal() {
    let away = |journal: Option<bool>, full_in_s| TopicPart {
        trouble: Some("no broker".to_owned()),
        journal: journal.map(|is_full| JournalPart {
            is_full,
            ..JournalPart::default()
        }),
        full_in_s,
        ..topic()
    };
    let says = "Topic events: kafka takes no records: no broker. Clients get 503.";
    check_topic(away(None, None), Level::Bad, &[says]);
    check_topic(
        away(Some(false), None),
        Level::Warning,
        &["The journal keeps them."],
    );
    check_topic(
        away(Some(false), Some(1_800.0)),
        Level::Warning,
        &["The journal keeps them, full in 30 min."],
    );
    check_topic(
        away(Some(false), Some(60.0)),
        Level::Bad,
        &["full in 1 min"],
    );
    check_topic(
        away(Some(true), None),
        Level::Bad,
        &["the journal is full, and kafka"],
    );
}

#[test]
fn a_topic_that_fills_up_or_loses_records_needs_a_look() {
    let full = TopicPart {
        records: Fill {
            used: 85,
            limit: 100,
        },
        full_in_s: Some(30.0),
        ..topic()
    };
    check_topic(
        full,
        Level::Warning,
        &["fills up, full in 30 s", "its channel is 85 % full"],
    );
    let unavailable = |requests| TopicPart {
        requests,
        unavailable: requests / 2,
        ..topic()
    };
    check_topic(unavailable(REQUESTS_MIN - 1), Level::Good, &[]);
    check_topic(
        unavailable(100),
        Level::Warning,
        &["50 % of the last minute's requests"],
    );
    let letters = TopicPart {
        dead_lettered: 9,
        dead_lettered_lately: 1,
        dead_letters_lost: 2,
        ..topic()
    };
    let words = [
        "1 record more among the dead letters",
        "2 records that kafka refused could",
    ];
    check_topic(letters, Level::Warning, &words);
}

#[test]
fn the_worst_comes_first() {
    let certificate = |left_s| CertificatePart {
        name: "TLS certificate".to_owned(),
        is_loaded: true,
        ends: 1_795_372_120,
        left_s,
    };
    let overview = Overview {
        ledger: Ledger {
            unaccounted: -1,
            damaged: 2,
            ..Ledger::default()
        },
        certificates: vec![certificate(3_600), certificate(-1), certificate(RENEWAL_S)],
        directory: DirectoryPart {
            stale_s: 61,
            ..DirectoryPart::default()
        },
        memory: Fill { used: 9, limit: 10 },
        ..Overview::default()
    };
    check(
        &overview,
        Level::Bad,
        &[
            "−1 accepted records",
            "TLS certificate: ended on 2026-11-22",
            "2 records lost by damage",
            "Directory: not known to be the file's for 1 min",
            "TLS certificate: ends on 2026-11-22, in 1 h",
            "Memory: 90 % of the budget",
        ],
    );
    let now = Moment {
        draining: true,
        faulty_files: vec!["directory: no user".to_owned()],
        ..moment()
    };
    let verdict = verdict(&Overview::default(), &now);
    assert_eq!((verdict.level, verdict.reasons.len()), (Level::Warning, 2));
}
