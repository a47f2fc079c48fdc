//! The bounds of a window: its time, and its places.

use super::*;
use crate::idempotency::window::EXPIRED_PER_CLAIM;

#[tokio::test]
async fn a_key_goes_once_its_time_is_over() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |text, now| window.claim(&alice(), &digests(&key(text), BODY), None, now);
    end(held(claim("a", now)), &[Outcome::Delivered]).await;
    end(held(claim("b", now)), &[Outcome::Delivered]).await;
    // The time counts from the outcome, which is a moment after `now`.
    assert_eq!(name(&claim("a", now + WINDOW / 4 * 3)), "delivered");
    let later = Instant::now() + WINDOW;
    assert_eq!(name(&claim("a", later)), "held");
    assert_eq!(window.counts().keys, 0, "the other one is over as well");
    assert_eq!(window.counts().evicted, 0);
}

#[tokio::test]
async fn the_time_of_a_key_counts_from_its_last_outcome() {
    let window = window(10_000);
    let begin = Instant::now().checked_sub(WINDOW / 2).unwrap();
    let claim = |now| window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    end(held(claim(begin)), &[Outcome::Delivered]).await;
    assert_eq!(name(&claim(begin + WINDOW)), "delivered");
}

#[tokio::test]
async fn old_keys_go_little_by_little() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |text: &str, now| window.claim(&alice(), &digests(&key(text), BODY), None, now);
    for number in 0..100 {
        end(held(claim(&number.to_string(), now)), &[Outcome::Delivered]).await;
    }
    let before = window.keys.lock().places();
    let later = Instant::now() + WINDOW;
    drop(held(claim("new", later)));
    assert_eq!(window.keys.lock().places(), before - EXPIRED_PER_CLAIM);
}

/// A user takes one place beside its keys, and a key under way one more.
#[tokio::test]
async fn a_user_holds_a_quarter_and_loses_its_own_oldest() {
    let window = window(80);
    let now = Instant::now();
    let bob: Arc<str> = "bob@globex.example".into();
    let of_bob = || window.claim(&bob, &digests(&key("bob"), BODY), None, now);
    end(held(of_bob()), &[Outcome::Delivered]).await;
    let claim = |number: usize| {
        let digests = digests(&key(&number.to_string()), BODY);
        window.claim(&alice(), &digests, None, now)
    };
    for number in 0..100 {
        end(held(claim(number)), &[Outcome::Delivered]).await;
        assert!(window.counts().keys <= 2 + 20);
    }
    assert!(window.counts().evicted >= 80);
    for number in 85..100 {
        assert_eq!(name(&claim(number)), "delivered", "{number}");
    }
    assert_eq!(name(&of_bob()), "delivered");
}

#[tokio::test]
async fn a_full_window_forgets_the_oldest_and_nothing_under_way() {
    let window = window(80);
    let now = Instant::now();
    let claim = |number: usize| {
        let user = Arc::from(format!("user-{number}@acme.example"));
        window.claim(&user, &digests(&key(&number.to_string()), BODY), None, now)
    };
    let under_way = held(claim(0));
    for number in 1..100 {
        end(held(claim(number)), &[Outcome::Delivered]).await;
        assert!(window.counts().keys <= 80);
    }
    assert_eq!(name(&claim(0)), "under way");
    assert_eq!(name(&claim(99)), "delivered");
    assert_eq!(name(&claim(1)), "held");
    drop(under_way);
}

#[tokio::test]
async fn users_of_many_keys_make_room_at_their_own_cost() {
    let window = window(400);
    let now = Instant::now();
    let user = |number: usize| Arc::from(format!("user-{number}@acme.example"));
    let claim = |number: usize, text: &str| {
        let digests = digests(&key(&format!("{number}/{text}")), BODY);
        window.claim(&user(number), &digests, None, now)
    };
    end(held(claim(9, "rare")), &[Outcome::Delivered]).await;
    for round in 0..300 {
        for number in 0..5 {
            let text = round.to_string();
            end(held(claim(number, &text)), &[Outcome::Delivered]).await;
        }
    }
    assert_eq!(name(&claim(9, "rare")), "delivered");
}

#[tokio::test]
async fn many_outcomes_count_as_several_keys() {
    let window = window(400);
    let now = Instant::now();
    let claim = |text| window.claim(&alice(), &digests(&key(text), BODY), None, now);
    let mut outcomes = vec![Outcome::Delivered; 80];
    end(held(claim("a")), &outcomes).await;
    assert_eq!(window.counts().keys, 2);
    outcomes[7] = Outcome::Retryable;
    for text in ["b", "c"] {
        end(held(claim(text)), &outcomes).await;
    }
    assert_eq!(window.counts().keys, 2 + 2 * 10);
    // More than there is for a user: this one goes alone.
    outcomes.resize(2_080, Outcome::Delivered);
    end(held(claim("d")), &outcomes).await;
    assert_eq!(window.counts().keys, 2 + 2 * 10);
    assert_eq!(name(&claim("a")), "delivered");
}

#[tokio::test]
async fn a_window_full_of_requests_under_way_keeps_no_more() {
    let window = window(84);
    let now = Instant::now();
    let claim = |number: usize| {
        let digests = digests(&key(&number.to_string()), BODY);
        window.claim(&alice(), &digests, None, now)
    };
    let under_way: Vec<_> = (0..10).map(|number| held(claim(number))).collect();
    assert_eq!(name(&claim(10)), "no place");
    drop(under_way);
    assert_eq!(window.counts().keys, 0);
    assert_eq!(name(&claim(10)), "held");
}

#[test]
fn a_restored_key_is_known_for_the_rest_of_its_time() {
    let window = window(10_000);
    let now = Instant::now();
    let digests = digests(&key("k"), BODY);
    let since = now.checked_sub(WINDOW / 2).unwrap();
    window.restore(&alice(), &digests, since);
    let claim = |asked, now| window.claim(&alice(), &digests, asked, now);
    assert_eq!(name(&claim(None, now)), "delivered");
    // Its client may have been told 503, and sends it again.
    drop(held(claim(Some(Durability::Delivered), now)));
    window.restore(&alice(), &digests, since);
    assert_eq!(name(&claim(None, now + WINDOW / 2)), "held");
}

#[tokio::test]
async fn restored_keys_take_no_place_of_others() {
    let window = window(84);
    let now = Instant::now();
    let of = |number: usize| digests(&key(&number.to_string()), BODY);
    for number in 0..5 {
        let claim = window.claim(&alice(), &of(number), None, now);
        end(held(claim), &[Outcome::Delivered]).await;
    }
    let since = now.checked_sub(WINDOW / 2).unwrap();
    for number in 0..100 {
        window.restore(&alice(), &of(number), since);
    }
    assert_eq!(window.counts().keys, 21, "a quarter");
    assert_eq!(window.counts().evicted, 0);
    // They go first.
    for number in 200..205 {
        let claim = window.claim(&alice(), &of(number), None, now);
        end(held(claim), &[Outcome::Delivered]).await;
    }
    for number in 0..5 {
        let claim = window.claim(&alice(), &of(number), None, now);
        assert_eq!(name(&claim), "delivered", "{number}");
    }
}

#[tokio::test]
async fn a_known_key_is_tried_again_only_where_there_is_a_place() {
    let window = window(120);
    let now = Instant::now();
    let of = |text: &str| digests(&key(text), BODY);
    let begin = |text: &str| held(window.claim(&alice(), &of(text), None, now));
    // A quarter: the user, 14 keys under way, and one more.
    let mut under_way: Vec<_> = (0..14).map(|number| begin(&number.to_string())).collect();
    window.restore(&alice(), &of("k"), now);
    assert_eq!(window.counts().keys, 30);
    let again = || window.claim(&alice(), &of("k"), Some(Durability::Delivered), now);
    let Claim::Known(Known::UnderWay(other)) = again() else {
        panic!("there is a place");
    };
    assert_eq!(other.outcomes(soon()).await, None, "it is to come again");
    assert_eq!(window.counts().keys, 30);
    drop(under_way.pop());
    drop(held(again()));
    window.keys.lock().assert_sound();
}
