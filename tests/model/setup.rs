//! The gateway that a sequence is tried on: a configuration with short deadlines and small bounds,
//! and how the scripted sink does what a plan says.

use std::sync::Arc;
use std::time::Duration;

use iem_sink::SinkError;
use iem_sink::testing::Behaviour;

use super::body::{BODY_BYTES_MAX, QUEUE_RECORDS};
use super::outcome::mark;
use super::words::{Act, Kind, Setup};
use iem_test_support::Home;
use iem_test_support::issued_tokens as cases;

/// The deadline of every topic: a record that the sink leaves open costs a test this long.
pub(crate) const DEADLINE: Duration = Duration::from_millis(300);

pub(crate) fn home(setup: Setup) -> Home {
    let mut home = cases::home()
        .set("server.max_body", format!("{BODY_BYTES_MAX} B"))
        .set("server.threads", setup.threads)
        .set("login.failures_per_user", 1_000_000)
        .set("login.failures_per_peer", 1_000_000)
        .set("topics.metrics.workers", setup.workers);
    for kind in Kind::ALL {
        let key = |name: &str| format!("topics.{}.{name}", kind.topic());
        home = home
            .set(&key("deadline"), format!("{} ms", DEADLINE.as_millis()))
            .set(&key("linger"), if setup.linger { "2ms" } else { "0ms" })
            .set(
                &key("queue_records"),
                i64::try_from(QUEUE_RECORDS).expect("a small number"),
            )
            .set(
                &key("batch_records"),
                if kind == Kind::Entity { 2 } else { 16 },
            );
    }
    home
}

pub(crate) fn behaviour(act: Act) -> Behaviour {
    let error = SinkError::transient("scripted");
    match act {
        Act::Deliver => Behaviour::Deliver,
        Act::Slow => Behaviour::Delay(Duration::from_millis(5)),
        Act::Transient => Behaviour::Fail(error),
        Act::Permanent => Behaviour::Fail(SinkError::permanent("scripted")),
        Act::Panic => Behaviour::Panic,
        Act::Mark => Behaviour::Mark(Arc::new(mark), error),
        Act::MarkForGood => Behaviour::Mark(Arc::new(mark), SinkError::permanent("scripted")),
        Act::Late => Behaviour::Delay(2 * DEADLINE),
        Act::PastDeadline => Behaviour::StallPastDeadline,
    }
}
