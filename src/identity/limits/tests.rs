#![allow(clippy::unwrap_used)]

use governor::clock::FakeRelativeClock;

use super::*;
use crate::config::Config;

fn limits() -> (LoginLimits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (LoginLimits::new(&Config::default().login, &clock), clock)
}

fn origin(user: u8, peer: &str) -> Origin {
    Origin {
        user: [user; 32],
        peer: peer.parse::<std::net::IpAddr>().unwrap().into(),
    }
}

fn fail(limits: &LoginLimits<FakeRelativeClock>, origin: &Origin, times: usize) {
    for attempt in 0..times {
        assert_eq!(limits.check(origin), Ok(()), "attempt {attempt}");
        limits.count(origin);
    }
}

#[test]
fn ten_failures_of_a_pair_limit_that_pair_alone() {
    let (limits, _) = limits();
    let bounded = origin(1, "192.0.2.1");
    fail(&limits, &bounded, 10);
    assert_eq!(limits.check(&bounded), Err(Duration::from_secs(6)));
    assert_eq!(
        limits.check(&origin(1, "192.0.2.2")),
        Ok(()),
        "the same user elsewhere"
    );
    assert_eq!(
        limits.check(&origin(2, "192.0.2.1")),
        Ok(()),
        "another user there"
    );
    assert_eq!(limits.failures(), 10);
}

#[test]
fn a_limit_ends_by_itself() {
    let (limits, clock) = limits();
    let origin = origin(1, "192.0.2.1");
    fail(&limits, &origin, 10);
    clock.advance(Duration::from_secs(4));
    assert_eq!(limits.check(&origin), Err(Duration::from_secs(2)));
    clock.advance(Duration::from_secs(2));
    fail(&limits, &origin, 1);
    assert_eq!(limits.check(&origin), Err(Duration::from_secs(6)));
    clock.advance(Duration::from_mins(1));
    fail(&limits, &origin, 10);
}

#[test]
fn asking_does_not_count() {
    let (limits, _) = limits();
    let origin = origin(1, "192.0.2.1");
    for _ in 0..1000 {
        assert_eq!(limits.check(&origin), Ok(()));
    }
}

#[test]
fn a_hundred_failures_limit_the_peer_for_every_user() {
    let (limits, clock) = limits();
    for user in 0..10 {
        fail(&limits, &origin(user, "192.0.2.1"), 10);
    }
    assert_eq!(
        limits.check(&origin(99, "192.0.2.1")),
        Err(Duration::from_millis(600))
    );
    assert_eq!(limits.check(&origin(99, "192.0.2.2")), Ok(()));
    clock.advance(Duration::from_millis(600));
    assert_eq!(limits.check(&origin(99, "192.0.2.1")), Ok(()));
}

#[test]
fn memory_is_bounded_and_the_worst_origins_stay() {
    let clock = FakeRelativeClock::default();
    let limiter = Limiter::<u32, _>::new(NonZeroU32::new(2).unwrap(), &clock);
    limiter.count(&0);
    limiter.count(&0);
    let entries = u32::try_from(ENTRIES_MAX).unwrap();
    for key in 1..entries + 10 {
        limiter.count(&key);
    }
    assert_eq!(limiter.0.len(), ENTRIES_MAX);
    assert!(limiter.wait(&0) > Duration::ZERO);
    clock.advance(Duration::from_mins(2));
    limiter.count(&0);
    assert_eq!(limiter.0.len(), 1, "what has passed is forgotten");
}
