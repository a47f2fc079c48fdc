//! Tests of the screen at 80 and 160 columns.

use super::*;
use crate::admin::console::overview::{Fill, JournalPart, Ledger, Reason, Verdict};

fn overview() -> Overview {
    Overview {
        name: "gateway-1".to_owned(),
        version: "1.2.3".to_owned(),
        up_s: 90_000,
        verdict: Verdict {
            level: Level::Bad,
            reasons: vec![Reason {
                level: Level::Bad,
                subject: "Topic metrics".to_owned(),
                text: "kafka takes no records: connection to 10.0.0.7:9092 refused, and no other \
                       broker answers. Clients get 503."
                    .to_owned(),
            }],
        },
        ledger: Ledger {
            accepted: 1_234_567,
            accepted_rate: Some(2_000.0),
            dead_lettered: 3,
            ..Ledger::default()
        },
        topics: vec![
            TopicPart {
                name: "events".to_owned(),
                sink: "file".to_owned(),
                rate: Some(1_500.4),
                line: (0..60).map(f64::from).collect(),
                p50_s: Some(0.0012),
                p99_s: Some(0.25),
                records: Fill {
                    used: 3,
                    limit: 100,
                },
                ..TopicPart::default()
            },
            TopicPart {
                name: "metrics".to_owned(),
                sink: "kafka".to_owned(),
                trouble: Some("a \x1b[2Jvery long reason that no terminal has room for".to_owned()),
                full_in_s: Some(7_300.0),
                journal: Some(JournalPart {
                    bytes: Fill {
                        used: 41,
                        limit: 100,
                    },
                    ..JournalPart::default()
                }),
                ..TopicPart::default()
            },
        ],
        ..Overview::default()
    }
}

fn lines(columns: usize) -> Vec<String> {
    let screen = Screen {
        columns,
        is_terminal: false,
    };
    screen.lines(&overview())
}

#[test]
fn no_line_has_more_columns_than_the_terminal() {
    for columns in [60, 80, 100, 160, 300] {
        for line in lines(columns) {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
    }
}

#[test]
fn at_80_columns_a_topic_has_its_figures_and_its_sink() {
    let lines = lines(80);
    assert_eq!(lines[0], "iem-gateway gateway-1 1.2.3, up 1 d 1 h");
    assert_eq!(lines[1], "✕ In trouble");
    assert_eq!(
        lines[2..5],
        [
            "  ✕ Topic metrics: kafka takes no records: connection to 10.0.0.7:9092 refused,",
            "    and no other broker answers. Clients get 503.",
            "accepted 1,234,567 (2,000/s) · delivered 0 (—/s) · in a journal 0 · in flight 0",
        ]
    );
    let at = |begin: &str| lines.iter().find(|line| line.starts_with(begin));
    assert_eq!(
        at("TOPIC").map(String::as_str),
        Some("TOPIC         RECORDS/S      P50      P99  CHANNEL  JOURNAL  FULL    SINK")
    );
    assert_eq!(
        at("events").map(String::as_str),
        Some("events            1,500   1.2 ms   250 ms      3 %     none  —       ✓ file")
    );
    assert_eq!(
        at("metrics").map(String::as_str),
        Some("metrics               —        —        —      0 %     41 %  2h      ✕ kafka: a…")
    );
}

#[test]
fn at_160_columns_a_topic_has_a_line_of_its_last_minute() {
    let lines = lines(160);
    let events = lines.iter().find(|line| line.starts_with("events"));
    let events = events.expect("a row");
    assert!(
        events.contains("▁▁▁▁▂▂") && events.contains("▇▇████"),
        "{events}"
    );
    let metrics = lines.iter().find(|line| line.starts_with("metrics"));
    let metrics = metrics.expect("a row");
    assert!(metrics.contains("✕ kafka: a \u{fffd}[2Jvery"), "{metrics}");
    assert!(metrics.ends_with('…'));
}

#[test]
fn colours_are_for_terminals_alone() {
    let screen = |is_terminal| Screen {
        columns: 80,
        is_terminal,
    };
    let has_colour = |is_terminal| {
        let lines = screen(is_terminal).lines(&overview());
        lines.iter().any(|line| line.contains('\x1b'))
    };
    assert!(has_colour(true) && !has_colour(false));
}
