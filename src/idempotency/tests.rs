#![allow(clippy::unwrap_used)]

mod bounds;
mod late;
mod model;
mod places;

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::{Digests, Outcome, Reason};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::attempt::LateOutcomes;
use super::*;
use crate::config::Idempotency;

const WINDOW: Duration = Duration::from_hours(1);
const BODY: [u8; 32] = [1; 32];
const REJECTED: Outcome = Outcome::Rejected(Reason::Schema);

fn window(keys: usize) -> Window {
    Window::new(&Idempotency {
        window: WINDOW,
        keys,
    })
}

fn alice() -> Arc<str> {
    "alice@acme.example".into()
}

fn key(text: &str) -> RequestKey {
    let key = IdempotencyKey::parse(text.as_bytes()).unwrap();
    RequestKey::new("alice@acme.example", &["iem.event"], key)
}

fn digests(key: &RequestKey, body: [u8; 32]) -> Digests {
    Digests {
        key: Digester::new(key).finish().key,
        body,
    }
}

fn settled(outcomes: &[Outcome]) -> Settled {
    Settled {
        outcomes: SmallVec::from_slice(outcomes),
        durability: Durability::Delivered,
    }
}

#[track_caller]
fn held(claim: Claim) -> Held {
    match claim {
        Claim::Held(held) => held,
        other => panic!("the key is not held: {}", name(&other)),
    }
}

fn name(claim: &Claim) -> &'static str {
    match claim {
        Claim::Held(_) => "held",
        Claim::Known(Known::UnderWay(_)) => "under way",
        Claim::Known(Known::Delivered(_)) => "delivered",
        Claim::Known(Known::Settled(_)) => "settled",
        Claim::Known(Known::Reused) => "reused",
        Claim::NoPlace => "no place",
    }
}

fn at_once(settled: Settled) -> Answer {
    Answer {
        settled,
        late: None,
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap()
}

async fn end(held: Held, outcomes: &[Outcome]) -> Settled {
    let outcomes = settled(outcomes);
    let records = outcomes.outcomes.len();
    let all = held.settle(records, async move { at_once(outcomes) }).await;
    Settled::clone(&all)
}

#[test]
fn a_key_is_bare_or_quoted_and_bounded() {
    let check = |value: &[u8], expected: Option<&[u8]>| {
        let parsed = IdempotencyKey::parse(value);
        assert_eq!(
            parsed,
            expected.and_then(IdempotencyKey::parse),
            "{value:?}"
        );
        assert_eq!(parsed.is_some(), expected.is_some(), "{value:?}");
    };
    check(b"a", Some(b"a"));
    check(b"\"a\"", Some(b"a"));
    check(b"\"a b\"", Some(b"a b"));
    check(&[b'x'; 255], Some(&[b'x'; 255]));
    check(&[b'x'; 256], None);
    for wrong in [&b""[..], b"\"\"", b"\x7f", "ä".as_bytes(), b"a\tb"] {
        check(wrong, None);
    }
}

#[test]
fn digests_are_those_of_the_contract() {
    // Computed by another implementation of BLAKE3, as docs/contract.md#idempotency says. Journals
    // have them, and other gateways derive the same.
    let hex = |digest: &[u8; 32]| blake3::Hash::from_bytes(*digest).to_hex().to_string();
    let mut digester = Digester::new(&key("one"));
    let ids = [&b"{\"a\":1}"[..], b"{\"a\":2}"].map(|data| digester.next_id(data));
    assert_eq!(
        ids.map(|id| id.simple().to_string()),
        [
            "03ffd9fe2af38350becfe8a726ec97fd",
            "63dde836a6f28066969ce9b946117394"
        ]
    );
    let digests = digester.finish();
    assert_eq!(
        hex(&digests.key),
        "687862d1104ed68167723e0e69c90193e2804ccc85de631aabb7e142242431ac"
    );
    assert_eq!(
        hex(&digests.body),
        "f332af40735e3dd1e64648a158cdcb2f9d1b63d0ebc286940d3e6ec48583159f"
    );
    for (length, expected) in [
        (
            300,
            "c1932edefe4ae81ce5b7000c4db78496d6b7367b627364a1fb968f26a1825c91",
        ),
        (
            600,
            "0d8b54133f836c6466262ed37f967a0eb5156f49e41f0100b9e614f323e962d5",
        ),
        (
            1100,
            "0b0e1b9a993583d4b0d83e04a24ac22dc62e9105d30bae8e7d8aa57b467ce328",
        ),
    ] {
        let id = "x".repeat(length);
        let parts = ["iem.event", "acme", "", "nms", &id];
        let key = RequestKey::of_event("alice@acme.example", parts);
        assert_eq!(hex(&Digester::new(&key).finish().key), expected, "{length}");
    }
}

#[test]
fn ids_follow_from_user_endpoint_key_place_and_bytes() {
    let ids = |user: &str, endpoint: &[&str], key: &str, records: [&str; 2]| {
        let key = IdempotencyKey::parse(key.as_bytes()).unwrap();
        let key = RequestKey::new(user, endpoint, key);
        let mut digester = Digester::new(&key);
        (
            records.map(|record| digester.next_id(record.as_bytes())),
            digester.finish(),
        )
    };
    let (first, digest) = ids("a@b", &["iem.event"], "k", ["{}", "{}"]);
    assert_eq!(
        (first, digest),
        ids("a@b", &["iem.event"], "k", ["{}", "{}"])
    );
    assert_ne!(first[0], first[1], "the place in the request counts");
    assert_eq!(first[0].get_version_num(), 8);
    assert_eq!(first[0].get_variant(), uuid::Variant::RFC4122);
    for (other, other_digest) in [
        ids("a@c", &["iem.event"], "k", ["{}", "{}"]),
        ids("a@b", &["iem.metric"], "k", ["{}", "{}"]),
        ids("a@b", &["iem.event"], "l", ["{}", "{}"]),
        ids("a@b", &["iem", ".event"], "k", ["{}", "{}"]),
        ids("a@b", &["iem.event"], "k", ["{ }", "[]"]),
    ] {
        assert!(!first.contains(&other[0]) && !first.contains(&other[1]));
        assert_ne!(digest, other_digest);
    }
}

#[tokio::test]
async fn what_was_delivered_is_not_delivered_again() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |key: &RequestKey, body| window.claim(&alice(), &digests(key, body), None, now);
    end(held(claim(&key("k"), BODY)), &[Outcome::Delivered]).await;
    assert_eq!(name(&claim(&key("k"), BODY)), "delivered");
    assert_eq!(name(&claim(&key("k"), [2; 32])), "reused");
    assert_eq!(name(&claim(&key("l"), BODY)), "held");
    let bob = "bob@globex.example";
    let of_bob = IdempotencyKey::parse(b"k").unwrap();
    let of_bob = digests(&RequestKey::new(bob, &["iem.event"], of_bob), BODY);
    let other = window.claim(&bob.into(), &of_bob, None, now);
    assert_eq!(name(&other), "held");
}

#[tokio::test]
async fn a_repeat_delivers_what_is_left() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let outcomes = [
        Outcome::Delivered,
        Outcome::Retryable,
        REJECTED,
        Outcome::Undeliverable,
    ];
    let first = held(claim());
    assert_eq!(first.open(), None);
    assert_eq!(end(first, &outcomes).await, settled(&outcomes));
    let second = held(claim());
    assert_eq!(second.open(), Some(vec![1, 3]));
    end(second, &[Outcome::Retryable, Outcome::Delivered]).await;
    let third = held(claim());
    assert_eq!(third.open(), Some(vec![1]));
    let all = [
        Outcome::Delivered,
        Outcome::Delivered,
        REJECTED,
        Outcome::Delivered,
    ];
    assert_eq!(end(third, &[Outcome::Delivered]).await, settled(&all));
    assert_eq!(name(&claim()), "settled");
}

#[tokio::test]
async fn a_refusal_before_the_sink_binds_nothing() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |body| window.claim(&alice(), &digests(&key("k"), body), None, now);
    drop(held(claim(BODY)));
    assert_eq!(window.counts().keys, 0);
    let other = held(claim([2; 32]));
    end(other, &[Outcome::Retryable, Outcome::Delivered]).await;
    // Nor does it lose what an attempt before it has settled.
    drop(held(claim([2; 32])));
    assert_eq!(held(claim([2; 32])).open(), Some(vec![0]));
    assert_eq!(name(&claim(BODY)), "reused");
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_and_gets_its_outcome() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    for (outcomes, expected) in [
        (None, None),
        (
            Some(settled(&[Outcome::Retryable])),
            Some(settled(&[Outcome::Retryable])),
        ),
        (None, Some(settled(&[Outcome::Retryable]))),
        (
            Some(settled(&[Outcome::Delivered])),
            Some(settled(&[Outcome::Delivered])),
        ),
    ] {
        let first = held(claim());
        let Claim::Known(Known::UnderWay(second)) = claim() else {
            panic!("the first is under way");
        };
        match outcomes {
            Some(outcomes) => drop(first.settle(1, async move { at_once(outcomes) }).await),
            None => drop(first),
        }
        assert_eq!(second.outcomes(soon()).await.as_deref(), expected.as_ref());
    }
}

#[tokio::test]
async fn the_outcome_counts_although_the_client_goes_away() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let (tell, told) = oneshot::channel();
    let first = held(claim());
    let attempt = first.settle(1, async move { at_once(told.await.unwrap()) });
    let attempt = tokio::spawn(attempt);
    tokio::task::yield_now().await;
    attempt.abort();
    assert!(attempt.await.is_err());
    let Claim::Known(Known::UnderWay(second)) = claim() else {
        panic!("it is still on its way");
    };
    assert!(tell.send(settled(&[Outcome::Delivered])).is_ok());
    assert_eq!(
        second.outcomes(soon()).await.as_deref(),
        Some(&settled(&[Outcome::Delivered]))
    );
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_is_to_be_sent_again() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let first = held(claim());
    let attempt = tokio::spawn(first.settle(2, async { panic!("a worker has ended") }));
    assert!(attempt.await.is_err());
    // The panic dropped the attempt, which goes on by itself and fails again.
    tokio::task::yield_now().await;
    assert_eq!(held(claim()).open(), Some(vec![0, 1]));
}

#[tokio::test]
async fn a_waiting_repeat_gets_its_own_outcome_whatever_comes_next() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |body| window.claim(&alice(), &digests(&key("k"), body), None, now);
    let first = held(claim(BODY));
    let Claim::Known(Known::UnderWay(second)) = claim(BODY) else {
        panic!("the first is under way");
    };
    drop(first);
    // Nothing is bound, so another body may take the key, and is delivered before the second looks.
    end(held(claim([2; 32])), &[Outcome::Delivered]).await;
    assert_eq!(second.outcomes(soon()).await, None);
}

#[tokio::test]
async fn what_holds_of_records_is_told_by_the_attempts_that_delivered_some() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |asked| window.claim(&alice(), &digests(&key("k"), BODY), asked, now);
    let attempt = |claim, durability, outcomes: [Outcome; 2]| {
        let settled = Settled {
            outcomes: SmallVec::from_slice(&outcomes),
            durability,
        };
        held(claim).settle(2, async move { at_once(settled) })
    };
    let none = [Outcome::Retryable; 2];
    attempt(claim(None), Durability::Journaled, none).await;
    let all = [Outcome::Delivered; 2];
    let asked = Some(Durability::Delivered);
    let settled = attempt(claim(asked), Durability::Delivered, all).await;
    assert_eq!(settled.durability, Durability::Delivered);
    assert_eq!(name(&claim(asked)), "delivered");
}

#[tokio::test]
async fn a_key_is_not_taken_for_more_than_was_held() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |text, asked| window.claim(&alice(), &digests(&key(text), BODY), asked, now);
    let more = Some(Durability::Delivered);
    for (text, second) in [("all", Outcome::Delivered), ("some", Outcome::Retryable)] {
        let settled = Settled {
            outcomes: SmallVec::from_slice(&[Outcome::Delivered, second]),
            durability: Durability::Journaled,
        };
        let first = held(claim(text, None));
        first.settle(2, async move { at_once(settled) }).await;
        assert_eq!(name(&claim(text, more)), "reused", "{text}");
        assert_ne!(name(&claim(text, None)), "reused", "{text}");
    }
}
