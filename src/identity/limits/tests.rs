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
        limits.count([*origin]);
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
fn the_networks_around_an_ipv6_peer_have_wider_limits() {
    let (limits, _) = limits();
    // 2 failures from each of 256 peers, so that none of them reaches its own limit.
    let fail_from = |third: u16, peers: u16| {
        for peer in 0..peers {
            let peer = origin(1, &format!("2001:db8:{third:x}:{peer:x}::1"));
            for _ in 0..2 {
                limits.count([peer]);
            }
        }
    };
    let waits = |peer: &str| limits.check(&origin(2, peer)).is_err();
    fail_from(1, 199);
    assert!(!waits("2001:db8:1:ff::1"), "398 of 400 in a /56");
    fail_from(1, 1);
    assert!(waits("2001:db8:1:ff::1"), "400 of 400");
    assert!(!waits("2001:db8:1:100::1") && !waits("2001:db8:2::1"));

    for begin in [0, 0x100, 0x200, 0x300] {
        for peer in begin..begin + 200 {
            let peer = origin(1, &format!("2001:db8:3:{peer:x}::1"));
            limits.count([peer]);
            limits.count([peer]);
        }
    }
    assert!(waits("2001:db8:3:ffff::1"), "1600 of 1600 in a /48");
    assert!(!waits("2001:db8:4::1") && !waits("192.0.2.1"));
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
