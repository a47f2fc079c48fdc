//! Any history of a small window: its places and its lists are sound after each step.

use proptest::prelude::*;

use super::*;

/// A step of a history, of one user's key.
#[derive(Clone, Debug)]
enum Step {
    Claim { user: u8, key: u8, asks_more: bool },
    End { held: usize, outcomes: Vec<Outcome> },
    Late { held: usize, outcomes: Vec<Outcome> },
    Last { late: usize },
    Drop { held: usize },
    Restore { user: u8, key: u8, age_s: u64 },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Delivered),
        1 => Just(Outcome::Retryable),
        1 => Just(REJECTED)
    ];
    let outcomes = prop_oneof![
        prop::collection::vec(outcome.clone(), 1..4),
        prop::collection::vec(outcome, 100..200)
    ];
    prop_oneof![
        6 => (0..4_u8, 0..40_u8, any::<bool>())
            .prop_map(|(user, key, asks_more)| Step::Claim { user, key, asks_more }),
        4 => (0..40_usize, outcomes.clone())
            .prop_map(|(held, outcomes)| Step::End { held, outcomes }),
        4 => (0..40_usize, outcomes).prop_map(|(held, outcomes)| Step::Late { held, outcomes }),
        2 => (0..40_usize).prop_map(|late| Step::Last { late }),
        2 => (0..40_usize).prop_map(|held| Step::Drop { held }),
        2 => (0..4_u8, 0..40_u8, 0..4_000_u64)
            .prop_map(|(user, key, age_s)| Step::Restore { user, key, age_s }),
        1 => (0..2_000_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn request(user: u8, key: u8) -> (Arc<str>, Digests) {
    let email: Arc<str> = format!("user-{user}@acme.example").into();
    let text = format!("{user}/{key}");
    (email, digests(&super::key(&text), BODY))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn places_and_lists_are_sound(steps in prop::collection::vec(step(), 0..200)) {
        let runtime = runtime();
        let mut late = Vec::new();
        let window = window(120);
        let mut now = Instant::now();
        let mut under_way = Vec::new();
        for step in steps {
            match step {
                Step::Claim { user, key, asks_more } => {
                    let (user, digests) = request(user, key);
                    let asked = asks_more.then_some(Durability::Delivered);
                    if let Claim::Held(held) = window.claim(&user, &digests, asked, now) {
                        under_way.push(held);
                    }
                }
                Step::End { held, outcomes } if held < under_way.len() => {
                    let held = under_way.swap_remove(held);
                    let count = held.open().map_or(outcomes.len(), |open| open.len());
                    let outcomes: Vec<_> = outcomes.into_iter().cycle().take(count).collect();
                    runtime.block_on(end(held, &outcomes));
                }
                Step::Late { held, outcomes } if held < under_way.len() => {
                    let held = under_way.swap_remove(held);
                    let count = held.open().map_or(outcomes.len(), |open| open.len());
                    let outcomes: Vec<_> = outcomes.into_iter().cycle().take(count).collect();
                    let (last, told) = oneshot::channel();
                    let answer = Answer {
                        settled: settled(&outcomes),
                        late: Some(Box::pin(async move { told.await.unwrap() })),
                    };
                    runtime.block_on(held.settle(count, async move { answer }));
                    late.push((last, count));
                }
                Step::Last { late: index } if index < late.len() => {
                    let (last, count) = late.swap_remove(index);
                    let _ = last.send(SmallVec::from_elem(Outcome::Delivered, count));
                    runtime.block_on(async {
                        for _ in 0..8 {
                            tokio::task::yield_now().await;
                        }
                    });
                }
                Step::Drop { held } if held < under_way.len() => {
                    drop(under_way.swap_remove(held));
                }
                Step::End { .. } | Step::Late { .. } | Step::Last { .. } | Step::Drop { .. } => {}
                Step::Restore { user, key, age_s } => {
                    let (user, digests) = request(user, key);
                    if let Some(since) = now.checked_sub(Duration::from_secs(age_s)) {
                        window.restore(&user, &digests, since);
                    }
                }
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
            }
            window.keys.lock().assert_sound();
        }
    }
}
