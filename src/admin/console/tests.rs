//! Tests of when the gateway is looked at.

use std::time::Instant as Clock;

use super::*;
use crate::telemetry::{Counts, Snapshot, TopicSnapshot};

/// A gateway with one topic that counts how often it is looked at.
#[derive(Default)]
struct Counting(Cell<usize>);

impl Watched for Counting {
    fn moment(&self) -> Moment {
        self.0.set(self.0.get() + 1);
        let topic = TopicSnapshot {
            topic: "events",
            sink: "file",
            records: 0,
            bytes: 0,
            records_max: 1,
            bytes_max: 1,
            balance: crate::pipeline::Balance::default(),
            up: true,
            dead_lettered: 0,
            dead_letters_lost: 0,
            journal: None,
        };
        Moment {
            at: Clock::now(),
            clock: SystemTime::now(),
            name: "counting".to_owned(),
            draining: false,
            snapshot: Snapshot {
                topics: vec![topic],
                ..Snapshot::default()
            },
            sinks: vec![SinkMoment::default()],
            counts: Counts::default(),
            customers: Vec::new(),
            faulty_files: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn quota(&self, _: &str) -> Option<u32> {
        None
    }

    fn settings(&self) -> Vec<SettingPart> {
        Vec::new()
    }

    fn refusals(&self, _: &str) -> Vec<Refusal> {
        Vec::new()
    }

    fn dead_letters(&self, _: &str) -> Option<ReadLetters> {
        Some(Box::new(|| DeadLetters {
            files: 7,
            ..DeadLetters::default()
        }))
    }

    fn replay(&self, _: &str) -> Option<Replay> {
        None
    }

    fn start_replay(&self, _: &str) -> bool {
        false
    }

    fn take_samples(&self, _: &str, _: Duration) {}

    fn samples(&self, _: &str) -> Option<(Duration, Vec<Sample>)> {
        None
    }
}

const FAST: Pace = Pace {
    interval: Duration::from_millis(2),
    looked_for: Duration::from_millis(20),
};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), test);
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(FAST.interval).await;
    }
}

#[test]
fn the_gateway_is_looked_at_only_while_somebody_looks() {
    run(async {
        let counting = Rc::new(Counting::default());
        let console = Console::at_pace(Rc::clone(&counting), FAST);
        tokio::time::sleep(3 * FAST.interval).await;
        assert_eq!(counting.0.get(), 0, "nobody has looked yet");
        console.overview();
        assert_eq!(counting.0.get(), 1);
        until(|| !console.0.is_looking.get()).await;
        let looks = counting.0.get();
        assert!(looks > 1, "it goes on for a while");
        assert!(console.0.history.borrow().latest().is_none(), "and forgets");
        tokio::time::sleep(3 * FAST.interval).await;
        assert_eq!(counting.0.get(), looks);
        console.overview();
        assert_eq!(counting.0.get(), looks + 1);
    });
}

#[test]
fn a_stream_keeps_it_looking_and_its_end_ends_that() {
    run(async {
        let counting = Rc::new(Counting::default());
        let console = Console::at_pace(Rc::clone(&counting), FAST);
        let stream = console.stream(PageKey::First, || true);
        let later = Instant::now() + 3 * FAST.looked_for;
        until(|| Instant::now() > later).await;
        assert!(console.0.is_looking.get());
        drop(stream);
        until(|| !console.0.is_looking.get()).await;
    });
}

#[test]
fn a_topic_has_a_page_with_its_dead_letters_and_no_other_name_has() {
    run(async {
        let console = Console::at_pace(Rc::default(), FAST);
        let console: Console<Counting> = console;
        assert_eq!(console.topic_name("nothing"), None);
        let name = console.topic_name("events").expect("a topic");
        let viewer = ConsoleViewer {
            user: None,
            csrf: "token",
        };
        let page = console.topic(name, &viewer).await;
        assert!(
            page.contains("Topic events") && page.contains("7 files"),
            "{page}"
        );
        assert!(page.contains("data-stream=\"/events?topic=events\""));
    });
}
