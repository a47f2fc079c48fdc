//! Any interleaving of requests, refusals and ends, beside a model that forgets nothing.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A step of a history. Keys are few, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    /// A request with this key and body comes.
    Claim { key: usize, body: u8 },
    /// The request under way with this key ends.
    End { key: usize, outcomes: [Outcome; 2] },
    /// It is refused before the sink.
    Refuse { key: usize },
}

const KEYS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Delivered),
        Just(Outcome::Retryable),
        Just(REJECTED)
    ];
    let outcomes = [outcome.clone(), outcome];
    prop_oneof![
        3 => (0..KEYS, 0..2_u8).prop_map(|(key, body)| Step::Claim { key, body }),
        2 => (0..KEYS, outcomes).prop_map(|(key, outcomes)| Step::End { key, outcomes }),
        1 => (0..KEYS).prop_map(|key| Step::Refuse { key }),
    ]
}

/// The state of one key, as the contract has it.
#[derive(Default)]
struct Model {
    body: Option<u8>,
    under_way: Option<(Held, u8)>,
    outcomes: Option<[Outcome; 2]>,
    /// The number of times that each record was delivered.
    delivered: [u32; 2],
}

impl Model {
    /// Returns the body that the key is bound to.
    fn bound(&self) -> Option<u8> {
        let under_way = self.under_way.as_ref().map(|(_, body)| *body);
        self.body.or(under_way)
    }

    fn is_final(&self) -> bool {
        let outcomes = self.outcomes;
        outcomes.is_some_and(|outcomes| outcomes.into_iter().all(is_settled))
    }
}

proptest! {
    #[test]
    fn each_record_is_delivered_once_at_most(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let window = window(10_000);
        let mut models: HashMap<usize, Model> = HashMap::new();
        for step in steps {
            match step {
                Step::Claim { key: number, body } => {
                    let model = models.entry(number).or_default();
                    let request = key(&number.to_string());
                    let digests = digests(&request, [body; 32]);
                    let claim = window.claim(&alice(), &digests, None, Instant::now());
                    let expected = match model.bound() {
                        Some(bound) if bound != body => "reused",
                        _ if model.under_way.is_some() => "under way",
                        _ if model.outcomes == Some([Outcome::Delivered; 2]) => "delivered",
                        _ if model.is_final() => "settled",
                        _ => "held",
                    };
                    prop_assert_eq!(name(&claim), expected);
                    match claim {
                        Claim::Held(held) => model.under_way = Some((held, body)),
                        Claim::Known(Known::Settled(settled)) => {
                            let known = model.outcomes.as_ref().map(|all| &all[..]);
                            prop_assert_eq!(Some(&settled.outcomes[..]), known);
                        }
                        _ => {}
                    }
                }
                Step::End { key, outcomes } => {
                    let model = models.entry(key).or_default();
                    let Some((held, body)) = model.under_way.take() else { continue };
                    let open = held.open().unwrap_or_else(|| vec![0, 1]);
                    let mut all = model.outcomes.unwrap_or_default();
                    for index in &open {
                        all[*index] = outcomes[*index];
                        model.delivered[*index] += u32::from(outcomes[*index] == Outcome::Delivered);
                    }
                    let attempt: Vec<_> = open.iter().map(|index| outcomes[*index]).collect();
                    let ended = runtime.block_on(end(held, &attempt));
                    prop_assert_eq!(&ended.outcomes[..], &all[..]);
                    model.outcomes = Some(all);
                    model.body = Some(body);
                    prop_assert!(model.delivered.iter().all(|times| *times <= 1));
                }
                Step::Refuse { key } => {
                    if let Some(model) = models.get_mut(&key) {
                        model.under_way = None;
                    }
                }
            }
        }
    }
}
