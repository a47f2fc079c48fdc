//! Any interleaving of requests, refusals, answers, late outcomes, cut clients and restarts, beside a
//! model that forgets nothing but at a restart.

use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::*;
use crate::pipeline::Outcomes;

/// A step of a history. Keys are few, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    /// A request with this key and body comes.
    Claim { key: usize, body: u8 },
    /// The request that holds this key hands its records over.
    HandOver { key: usize },
    /// It is answered. A sink may still have what is not settled then.
    Answer {
        key: usize,
        outcomes: [Outcome; 2],
        is_late: bool,
    },
    /// The sink tells what became of these.
    Last { key: usize, outcomes: [Outcome; 2] },
    /// Nobody will ever know.
    Lose { key: usize },
    /// The client goes away.
    Cut { key: usize },
    /// The request is refused before the sink.
    Refuse { key: usize },
    /// The gateway starts again, and finds in its journal what was delivered as a whole.
    Restart,
}

const KEYS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Delivered),
        3 => Just(Outcome::Retryable),
        1 => Just(REJECTED)
    ];
    let outcomes = [outcome.clone(), outcome];
    let key = 0..KEYS;
    prop_oneof![
        8 => (key.clone(), 0..4_u8)
            .prop_map(|(key, body)| Step::Claim { key, body: body / 3 }),
        5 => key.clone().prop_map(|key| Step::HandOver { key }),
        5 => (key.clone(), outcomes.clone(), any::<bool>())
            .prop_map(|(key, outcomes, is_late)| Step::Answer { key, outcomes, is_late }),
        4 => (key.clone(), outcomes).prop_map(|(key, outcomes)| Step::Last { key, outcomes }),
        1 => key.clone().prop_map(|key| Step::Lose { key }),
        1 => key.clone().prop_map(|key| Step::Cut { key }),
        1 => key.prop_map(|key| Step::Refuse { key }),
        1 => Just(Step::Restart),
    ]
}

/// The stage of the request that is under way with a key.
#[derive(Default)]
enum Stage {
    #[default]
    None,
    Claimed(Held),
    HandedOver(oneshot::Sender<Answer>, JoinHandle<Arc<Settled>>),
    Late(oneshot::Sender<Outcomes>),
}

/// The state of one key, as the contract has it.
#[derive(Default)]
struct Model {
    /// The body that the key is bound to: by what was handed over, or for as long as a request is
    /// under way.
    body: Option<u8>,
    stage: Stage,
    /// The records that the request under way delivers.
    open: Vec<usize>,
    /// The outcomes that are known.
    outcomes: Option<[Outcome; 2]>,
    /// The number of times that each record was delivered.
    delivered: [u32; 2],
    waiting: Vec<JoinHandle<Option<Arc<Settled>>>>,
}

impl Model {
    fn expected(&self, body: u8) -> &'static str {
        let outcomes = self.outcomes.filter(|_| matches!(self.stage, Stage::None));
        match (self.body, outcomes) {
            (Some(bound), _) if bound != body => "reused",
            (Some(_), None) => "under way",
            (_, Some([Outcome::Delivered, Outcome::Delivered])) => "delivered",
            (_, Some(outcomes)) if outcomes.into_iter().all(is_settled) => "settled",
            _ => "held",
        }
    }

    /// Notes outcomes of the records that are open, and returns those of the attempt's records.
    fn note(&mut self, open: &[usize], outcomes: [Outcome; 2]) {
        let all = self.outcomes.get_or_insert_default();
        for index in open {
            all[*index] = outcomes[*index];
            self.delivered[*index] += u32::from(outcomes[*index] == Outcome::Delivered);
        }
        assert!(self.delivered.iter().all(|times| *times <= 1));
    }

    fn of_attempt(&self) -> Settled {
        let all = self.outcomes.unwrap_or_default();
        let of_attempt: Vec<_> = self.open.iter().map(|index| all[*index]).collect();
        settled(&of_attempt)
    }

    /// Checks that those that wait are told how the attempt ended.
    fn check_waiting(&mut self, runtime: &Runtime) {
        for waiting in std::mem::take(&mut self.waiting) {
            let told = runtime.block_on(waiting).unwrap();
            let told = told.as_deref().map(|settled| &settled.outcomes[..]);
            assert_eq!(told, self.outcomes.as_ref().map(|all| &all[..]));
        }
    }

    /// Answers the request with these outcomes of its records.
    fn answer(&mut self, runtime: &Runtime, outcomes: [Outcome; 2], is_late: bool) {
        let Stage::HandedOver(answer, client) = std::mem::take(&mut self.stage) else {
            panic!("it is handed over");
        };
        let open = self.open.clone();
        self.note(&open, outcomes);
        let settled = self.of_attempt();
        let before = settled.outcomes.clone();
        let is_open = settled.outcomes.contains(&Outcome::Retryable);
        let (last, told) = oneshot::channel();
        let late: LateOutcomes = Box::pin(async move { told.await.unwrap_or(before) });
        let late = (is_late && is_open).then_some(late);
        self.stage = if late.is_some() {
            Stage::Late(last)
        } else {
            Stage::None
        };
        assert!(answer.send(Answer { settled, late }).is_ok());
        match runtime.block_on(client) {
            Ok(told) => assert_eq!(&told.outcomes[..], &self.outcomes.unwrap()),
            Err(error) => assert!(error.is_cancelled()),
        }
        // The attempt of a client that went away is on a task of its own.
        settle_down(runtime);
    }

    /// Tells the last outcomes of what was open at the answer.
    fn last(&mut self, runtime: &Runtime, outcomes: [Outcome; 2]) {
        let Stage::Late(last) = std::mem::take(&mut self.stage) else {
            panic!("it is late");
        };
        let known = self.outcomes.unwrap();
        let mut open = self.open.clone();
        open.retain(|index| !is_settled(known[*index]));
        self.note(&open, outcomes);
        assert!(last.send(self.of_attempt().outcomes).is_ok());
        settle_down(runtime);
    }

    /// Ends the client's wait, but not the attempt.
    fn cut(&mut self, runtime: &Runtime) {
        if let Stage::HandedOver(_, client) = &self.stage {
            client.abort();
            settle_down(runtime);
        }
    }

    fn claim(&mut self, runtime: &Runtime, claim: Claim, body: u8) {
        match claim {
            Claim::Held(held) => {
                self.body = Some(body);
                self.open = held.open().unwrap_or_else(|| vec![0, 1]);
                self.stage = Stage::Claimed(held);
            }
            Claim::Known(Known::Settled(settled)) => {
                let known = self.outcomes.as_ref().map(|all| &all[..]);
                assert_eq!(Some(&settled.outcomes[..]), known);
            }
            Claim::Known(Known::UnderWay(other)) => {
                self.waiting.push(runtime.spawn(other.outcomes(soon())));
                settle_down(runtime);
            }
            Claim::Known(_) | Claim::NoPlace => {}
        }
    }

    fn hand_over(&mut self, runtime: &Runtime, held: Held) {
        let (answer, answered) = oneshot::channel::<Answer>();
        let records = self.open.len();
        let client = held.settle(records, async move {
            let unknown = vec![Outcome::Retryable; records];
            answered
                .await
                .unwrap_or_else(|_| at_once(settled(&unknown)))
        });
        self.stage = Stage::HandedOver(answer, runtime.spawn(client));
        settle_down(runtime);
    }
}

/// Lets all tasks run that can.
fn settle_down(runtime: &Runtime) {
    runtime.block_on(async {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    });
}

fn take(model: &mut Model, runtime: &Runtime, step: &Step) {
    match (step, std::mem::take(&mut model.stage)) {
        (Step::HandOver { .. }, Stage::Claimed(held)) => model.hand_over(runtime, held),
        (Step::Refuse { .. }, Stage::Claimed(held)) => {
            drop(held);
            // What was not handed over binds nothing.
            model.body = model.body.filter(|_| model.outcomes.is_some());
        }
        (step, stage) => {
            let is_handed_over = matches!(stage, Stage::HandedOver(..));
            let is_late = matches!(stage, Stage::Late(_));
            model.stage = stage;
            let unknown = [Outcome::Retryable; 2];
            match step {
                Step::Answer {
                    outcomes, is_late, ..
                } if is_handed_over => model.answer(runtime, *outcomes, *is_late),
                Step::Lose { .. } if is_handed_over => model.answer(runtime, unknown, false),
                Step::Last { outcomes, .. } if is_late => model.last(runtime, *outcomes),
                Step::Lose { .. } if is_late => {
                    model.stage = Stage::None;
                    settle_down(runtime);
                }
                Step::Cut { .. } => model.cut(runtime),
                _ => {}
            }
        }
    }
    if matches!(model.stage, Stage::None) {
        model.check_waiting(runtime);
    }
}

/// Returns the window and the keys of a gateway that starts anew.
fn restart(models: &mut [Model; KEYS]) -> Window {
    let window = window(10_000);
    for (number, model) in models.iter_mut().enumerate() {
        let all = Some([Outcome::Delivered; 2]);
        if matches!(model.stage, Stage::None) && model.outcomes == all {
            let digests = digests(&key(&number.to_string()), [model.body.unwrap(); 32]);
            window.restore(&alice(), &digests, Instant::now());
        } else {
            *model = Model::default();
        }
    }
    window
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn each_record_is_delivered_once_at_most(steps in prop::collection::vec(step(), 0..80)) {
        let runtime = runtime();
        let mut window = window(10_000);
        let mut models: [Model; KEYS] = Default::default();
        for step in steps {
            match &step {
                Step::Claim { key: number, body } => {
                    let digests = digests(&key(&number.to_string()), [*body; 32]);
                    let claim = window.claim(&alice(), &digests, None, Instant::now());
                    prop_assert_eq!(name(&claim), models[*number].expected(*body));
                    models[*number].claim(&runtime, claim, *body);
                }
                Step::HandOver { key }
                | Step::Answer { key, .. }
                | Step::Last { key, .. }
                | Step::Lose { key }
                | Step::Cut { key }
                | Step::Refuse { key } => take(&mut models[*key], &runtime, &step),
                Step::Restart => window = restart(&mut models),
            }
            window.keys.lock().assert_sound();
        }
    }
}
