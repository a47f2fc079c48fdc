//! The table of cases.

use super::body::{Body, Coding, EVENT_BYTES, Form};
use super::case::{
    Alone, BACKLOG, Case, Goal, Group, Load, Part, Rate, Serving, Setup, Side, Sink, Task,
};

/// Connections that saturate two cores with few requests waiting.
const CONNECTIONS: usize = 64;
/// The same for requests of a thousand records, or of one large record.
const CONNECTIONS_MANY: usize = 16;
const CONNECTIONS_MOST: usize = 10_000;
const MANY: usize = 1000;
const USERS: usize = 100_000;

/// Returns all cases in the order in which they are measured.
pub fn all() -> Vec<Case> {
    [
        sinks(),
        sizes(),
        connections(),
        many(),
        decoded(),
        rates(),
        keys(),
        console(),
        journal(),
        scale(),
        start(),
    ]
    .concat()
}

/// Returns the cases with one event a request.
fn sinks() -> Vec<Case> {
    let case = |sink, connections| Case::new(Group::Sinks, sink, closed(Body::EVENT, connections));
    vec![
        case(Sink::Null, CONNECTIONS).beside_hyper().quick(),
        case(Sink::File, CONNECTIONS)
            .beside_hyper()
            .goal(Goal::Cpu(1.4))
            .quick(),
        case(Sink::FileSynced, CONNECTIONS)
            .beside_hyper()
            .goal(Goal::Cpu(1.9))
            .quick(),
        case(Sink::Kafka, CONNECTIONS)
            .beside_hyper()
            .and(Alone::Kafka)
            .goal(Goal::Cpu(1.2)),
        case(Sink::PubSub, CONNECTIONS)
            .beside_hyper()
            .and(Alone::PubSub)
            .goal(Goal::Cpu(1.2)),
        case(Sink::NullFar, CONNECTIONS).beside_hyper().quick(),
        case(Sink::NullFar, 1000).beside_hyper(),
        case(Sink::KafkaFar, 1000)
            .beside_hyper()
            .and(Alone::KafkaFar),
    ]
}

/// Returns the cases with records of several sizes.
fn sizes() -> Vec<Case> {
    let case = |bytes: usize, connections| {
        let load = closed(Body::one(bytes), connections);
        Case::new(Group::Sizes, Sink::File, load)
            .beside_hyper()
            .at(bytes)
    };
    vec![
        case(200, CONNECTIONS).quick(),
        case(EVENT_BYTES, CONNECTIONS),
        case(4 << 10, CONNECTIONS),
        case(64 << 10, CONNECTIONS).quick(),
        case(1 << 20, CONNECTIONS_MANY).quick(),
    ]
}

/// Returns the cases with several numbers of connections.
fn connections() -> Vec<Case> {
    let case = |connections: usize| {
        let load = closed(Body::EVENT, connections);
        Case::new(Group::Connections, Sink::File, load)
            .beside_hyper()
            .at(connections)
    };
    vec![
        case(1).quick(),
        case(8),
        case(64),
        case(256),
        case(1000).quick(),
    ]
}

/// Returns the cases with many records a request.
fn many() -> Vec<Case> {
    let case = |sink, form| {
        let load = closed(Body::many(form), CONNECTIONS_MANY);
        Case::new(Group::Many, sink, load).beside_hyper()
    };
    let goals = |case: Case| {
        case.goal(Goal::RecordMicros(1.0))
            .goal(Goal::RecordsPerSecond(1e6))
            .quick()
    };
    vec![
        case(Sink::File, Form::Array(10)),
        case(Sink::File, Form::Array(100)),
        goals(case(Sink::File, Form::Array(MANY))),
        goals(case(Sink::File, Form::Lines(MANY))),
        case(Sink::Null, Form::Array(MANY)),
        case(Sink::FileSynced, Form::Array(MANY)),
        case(Sink::Kafka, Form::Array(MANY))
            .and(Alone::Kafka)
            .goal(Goal::Cpu(1.2)),
        case(Sink::PubSub, Form::Array(MANY))
            .and(Alone::PubSub)
            .goal(Goal::Cpu(1.2)),
    ]
}

/// Returns the cases of compressed bodies. Each is compared with the same body uncompressed and
/// decompression alone, added up.
fn decoded() -> Vec<Case> {
    let case = |coding| {
        let plain = closed(Body::many(Form::Lines(MANY)), CONNECTIONS_MANY);
        let body = plain.body.encoded(coding);
        Case::new(Group::Many, Sink::File, Load { body, ..plain })
            .base(Task::Served(gateway(Sink::File, 1), plain))
            .and(Alone::Decode(body))
            .quick()
    };
    vec![case(Coding::Gzip), case(Coding::Zstd)]
}

/// Returns the cases with a constant arrival rate, for the clients' waits.
fn rates() -> Vec<Case> {
    let case = |sink, share: f64| {
        let load = Load {
            rate: Rate::Share(share),
            ..closed(Body::EVENT, CONNECTIONS)
        };
        Case::new(Group::Rates, sink, load)
            .beside_hyper()
            .at_share(share)
    };
    vec![
        case(Sink::File, 0.1),
        case(Sink::File, 0.25),
        case(Sink::File, 0.5).goal(Goal::P99(2.0)).quick(),
        case(Sink::File, 0.75),
        case(Sink::File, 0.9),
        case(Sink::Null, 0.5),
        case(Sink::FileSynced, 0.5),
        case(Sink::NullFar, 0.5),
    ]
}

/// Returns the case in which each request has an idempotency key, beside the same without.
fn keys() -> Vec<Case> {
    let load = |has_key| Load {
        has_key,
        ..closed(Body::EVENT, CONNECTIONS)
    };
    let served = |has_key| Task::Served(gateway(Sink::File, 1), load(has_key));
    vec![
        Case::about(Group::Keys, served(true))
            .base(served(false))
            .goal(Goal::Cpu(1.1))
            .quick(),
    ]
}

/// Returns the case in which somebody looks at the console, beside the same without.
fn console() -> Vec<Case> {
    let load = closed(Body::EVENT, CONNECTIONS);
    vec![
        Case::about(Group::Console, Task::Served(watched(), load))
            .base(Task::Served(gateway(Sink::File, 1), load))
            .goal(Goal::Cpu(1.02)),
    ]
}

/// Returns the cases with a journal in front of the sink. Each is compared with the same sink
/// without one.
fn journal() -> Vec<Case> {
    let one = closed(Body::EVENT, CONNECTIONS);
    let many = closed(Body::many(Form::Array(MANY)), CONNECTIONS_MANY);
    let half = Load {
        rate: Rate::Share(0.5),
        ..one
    };
    let case = |sink, load| {
        Case::about(Group::Journal, Task::Served(journaled(sink), load))
            .base(Task::Served(gateway(sink, 1), load))
    };
    let hyper = |load| Task::Served(Serving::Hyper, load);
    let synced = |load| Task::Served(gateway(Sink::FileSynced, 1), load);
    let Serving::Gateway(kafka) = journaled(Sink::Kafka) else {
        unreachable!("a gateway is served")
    };
    vec![
        case(Sink::Null, one).beside(hyper(one)),
        case(Sink::File, one)
            .beside(synced(one))
            .beside(hyper(one))
            .goal(Goal::Cpu(1.4))
            .quick(),
        case(Sink::Kafka, one)
            .beside(hyper(one))
            .beside(Task::Alone(Alone::Kafka))
            .goal(Goal::MoreMicros(6.0)),
        case(Sink::File, many).beside(synced(many)),
        case(Sink::Kafka, many).beside(Task::Alone(Alone::Kafka)),
        case(Sink::File, half)
            .beside(synced(half))
            .beside(hyper(half)),
        case(Sink::Kafka, half).beside(hyper(half)),
        Case::about(Group::Journal, Task::Forward(kafka))
            .base(Task::Alone(Alone::KafkaBacklog))
            .goal(Goal::Rate(0.8)),
    ]
}

/// Returns the cases with many users or connections. Each is compared with the gateway under few;
/// bare hyper is measured beside it.
fn scale() -> Vec<Case> {
    let load = |connections| closed(Body::EVENT, connections);
    let case = |users, connections| {
        Case::about(
            Group::Scale,
            Task::Served(gateway(Sink::File, users), load(connections)),
        )
        .base(Task::Served(gateway(Sink::File, 1), load(CONNECTIONS)))
        .beside(Task::Served(Serving::Hyper, load(connections)))
        .goal(Goal::Cpu(1.1))
        .quick()
    };
    vec![
        case(USERS, CONNECTIONS),
        case(1, CONNECTIONS_MOST).beside(Task::Served(Serving::Hyper, load(CONNECTIONS))),
    ]
}

/// Returns the case of a cold start.
fn start() -> Vec<Case> {
    let start = |users| Task::Start(gateway(Sink::File, users));
    vec![
        Case::about(Group::Start, start(USERS))
            .base(start(1))
            .goal(Goal::Seconds(1.0))
            .quick(),
    ]
}

fn closed(body: Body, connections: usize) -> Load {
    Load {
        body,
        connections,
        rate: Rate::Closed,
        has_key: false,
    }
}

fn gateway(sink: Sink, users: usize) -> Serving {
    Serving::Gateway(Setup {
        sink,
        has_journal: false,
        users,
        is_watched: false,
    })
}

/// Returns a gateway with files whose console is open.
fn watched() -> Serving {
    Serving::Gateway(Setup {
        sink: Sink::File,
        has_journal: false,
        users: 1,
        is_watched: true,
    })
}

fn journaled(sink: Sink) -> Serving {
    Serving::Gateway(Setup {
        sink,
        has_journal: true,
        users: 1,
        is_watched: false,
    })
}

impl Case {
    /// Returns a case of a gateway with one user under a load.
    fn new(group: Group, sink: Sink, load: Load) -> Self {
        Self::about(group, Task::Served(gateway(sink, 1), load))
    }

    fn about(group: Group, task: Task) -> Self {
        let mut name = match task {
            Task::Served(Serving::Gateway(setup), load) if setup.users > 1 => {
                format!("{setup}: {load}, {} users", setup.users)
            }
            Task::Served(Serving::Gateway(setup), load) => format!("{setup}: {load}"),
            Task::Start(serving) => format!("start: {serving}"),
            Task::Forward(setup) => format!("{setup}: a backlog of {BACKLOG} records"),
            Task::Served(Serving::Hyper, _) | Task::Alone(_) => {
                unreachable!("a case is about a gateway")
            }
        };
        if let Task::Served(
            _,
            Load {
                rate: Rate::Share(share),
                ..
            },
        ) = task
        {
            name = format!("{name}, {} % of saturation", share * 100.0);
        }
        let sides = vec![Side {
            part: Part::Subject,
            task,
        }];
        Self {
            group,
            name,
            sides,
            goals: Vec::new(),
            at: None,
            quick: false,
        }
    }

    fn base(mut self, task: Task) -> Self {
        self.sides.push(Side {
            part: Part::Base,
            task,
        });
        self
    }

    fn beside(mut self, task: Task) -> Self {
        self.sides.push(Side {
            part: Part::Beside,
            task,
        });
        self
    }

    /// Adds bare hyper under the same load as a base.
    fn beside_hyper(self) -> Self {
        let Task::Served(_, load) = self.sides[0].task else {
            unreachable!("a start has no load")
        };
        self.base(Task::Served(Serving::Hyper, load))
    }

    /// Adds a client library's work, which any program has to do, as a base.
    fn and(self, alone: Alone) -> Self {
        self.base(Task::Alone(alone))
    }

    fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    fn at(mut self, x: usize) -> Self {
        self.at = Some(x as f64);
        self
    }

    fn at_share(mut self, share: f64) -> Self {
        self.at = Some(share);
        self
    }

    fn quick(mut self) -> Self {
        self.quick = true;
        self
    }
}
