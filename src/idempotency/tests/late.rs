//! Outcomes that come after a request's answer, and the keys of several records at once.

use super::*;
use crate::pipeline::Outcomes;

/// Returns an answer that leaves records open, and the way of their last outcomes.
fn late(outcomes: &[Outcome]) -> (Answer, oneshot::Sender<Outcomes>) {
    let (last, told) = oneshot::channel();
    let before = settled(outcomes);
    let unknown = before.outcomes.clone();
    let answer = Answer {
        settled: before,
        late: Some(Box::pin(async move { told.await.unwrap_or(unknown) })),
    };
    (answer, last)
}

fn outcomes(outcomes: &[Outcome]) -> Outcomes {
    SmallVec::from_slice(outcomes)
}

async fn settle_down() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

const OPEN: [Outcome; 2] = [Outcome::Delivered, Outcome::Retryable];

#[tokio::test]
async fn a_key_is_under_way_until_its_last_outcome() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let (answer, last) = late(&OPEN);
    let told = held(claim()).settle(2, async move { answer }).await;
    assert_eq!(*told, settled(&OPEN));
    let Claim::Known(Known::UnderWay(first)) = claim() else {
        panic!("a sink still has one");
    };
    let Claim::Known(Known::UnderWay(second)) = claim() else {
        panic!("a sink still has one");
    };
    // A wait is bounded, and tells what is known by then.
    let told = first.outcomes(Instant::now()).await;
    assert_eq!(told.as_deref(), Some(&settled(&OPEN)));
    last.send(outcomes(&[Outcome::Delivered; 2])).unwrap();
    let told = second.outcomes(soon()).await;
    assert_eq!(told.as_deref(), Some(&settled(&[Outcome::Delivered; 2])));
    assert_eq!(name(&claim()), "delivered");
}

#[tokio::test]
async fn a_worker_that_ends_leaves_the_key_as_it_was_answered() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let (answer, last) = late(&OPEN);
    held(claim()).settle(2, async move { answer }).await;
    drop(last);
    settle_down().await;
    assert_eq!(held(claim()).open(), Some(vec![1]));
}

#[test]
fn a_runtime_that_ends_leaves_the_key_as_it_was_answered() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let runtime = runtime();
    let (answer, _last) = late(&OPEN);
    runtime.block_on(held(claim()).settle(2, async move { answer }));
    assert_eq!(name(&claim()), "under way");
    drop(runtime);
    assert_eq!(held(claim()).open(), Some(vec![1]));
}

#[tokio::test]
async fn a_last_outcome_is_awaited_for_the_time_of_a_key() {
    let window = Window::new(&Idempotency {
        window: Duration::from_millis(50),
        keys: 10_000,
    });
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, Instant::now());
    let (answer, _last) = late(&OPEN);
    held(claim()).settle(2, async move { answer }).await;
    assert_eq!(name(&claim()), "under way");
    while name(&claim()) != "held" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn late_outcomes_count_although_the_client_goes_away() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = || window.claim(&alice(), &digests(&key("k"), BODY), None, now);
    let (tell, told) = oneshot::channel();
    let attempt = held(claim()).settle(2, async move { told.await.unwrap() });
    let attempt = tokio::spawn(attempt);
    settle_down().await;
    attempt.abort();
    assert!(attempt.await.is_err());
    let (answer, last) = late(&OPEN);
    assert!(tell.send(answer).is_ok());
    settle_down().await;
    assert_eq!(name(&claim()), "under way");
    last.send(outcomes(&[Outcome::Delivered; 2])).unwrap();
    settle_down().await;
    assert_eq!(name(&claim()), "delivered");
}

#[tokio::test]
async fn late_keys_take_the_places_of_old_ones_and_no_more() {
    let window = window(400);
    let now = Instant::now();
    let claim = |number: usize| {
        let digests = digests(&key(&number.to_string()), BODY);
        window.claim(&alice(), &digests, None, now)
    };
    let mut ways = Vec::new();
    let mut kept = 0;
    for number in 0..40 {
        let (answer, last) = late(&OPEN);
        held(claim(number)).settle(2, async move { answer }).await;
        ways.push(last);
        window.keys.lock().assert_sound();
        kept += usize::from(name(&claim(number)) == "under way");
    }
    assert!((5..40).contains(&kept), "{kept} of a quarter of 400");
    drop(ways);
    settle_down().await;
    window.keys.lock().assert_sound();
    assert_eq!(held(claim(0)).open(), Some(vec![1]));
}

/// A request of three events: each has a key of its own.
#[tokio::test]
async fn each_record_of_a_request_settles_its_own_key() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |text| window.claim(&alice(), &digests(&key(text), BODY), None, now);
    let mut each = HeldEach::default();
    for (index, text) in ["a", "b", "c"].into_iter().enumerate() {
        // The second record has no place.
        if index != 1 {
            each.push(index, held(claim(text)));
        }
    }
    let answered = [Outcome::Delivered, Outcome::Delivered, Outcome::Retryable];
    let (answer, last) = late(&answered);
    let told = each.settle(async move { answer }).await;
    assert_eq!(told, settled(&answered));
    assert_eq!(name(&claim("a")), "delivered");
    assert_eq!(name(&claim("b")), "held");
    assert_eq!(name(&claim("c")), "under way");
    last.send(outcomes(&[Outcome::Delivered; 3])).unwrap();
    settle_down().await;
    assert_eq!(name(&claim("c")), "delivered");
}

#[tokio::test]
async fn the_keys_of_several_records_are_given_back_or_go_on_together() {
    let window = window(10_000);
    let now = Instant::now();
    let claim = |text| window.claim(&alice(), &digests(&key(text), BODY), None, now);
    let each = || {
        let mut each = HeldEach::default();
        each.push(0, held(claim("a")));
        each.push(1, held(claim("b")));
        each
    };
    drop(each());
    assert_eq!(window.counts().keys, 0);
    let (tell, told) = oneshot::channel();
    let attempt = tokio::spawn(each().settle(async move { told.await.unwrap() }));
    settle_down().await;
    attempt.abort();
    assert!(attempt.await.is_err());
    assert_eq!(name(&claim("a")), "under way");
    assert!(tell.send(at_once(settled(&OPEN))).is_ok());
    settle_down().await;
    assert_eq!(name(&claim("a")), "delivered");
    assert_eq!(held(claim("b")).open(), Some(vec![0]));
}
