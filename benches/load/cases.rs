//! The table of cases.

use super::body::{Body, Coding, EVENT_BYTES, Form};
use super::case::{Alone, Case, Goal, Group, Load, Part, Rate, Serving, Setup, Side, Sink, What};

/// Saturates two cores without queueing much.
const CONNECTIONS: usize = 64;
/// As [`CONNECTIONS`], where a request is a thousand records.
const CONNECTIONS_MANY: usize = 16;
const CONNECTIONS_MOST: usize = 10_000;
const MANY: usize = 1000;
const USERS: usize = 100_000;

/// All that can be measured, in the order in which it is.
pub fn all() -> Vec<Case> {
    [
        sinks(),
        sizes(),
        connections(),
        many(),
        decoded(),
        rates(),
        scale(),
        start(),
    ]
    .concat()
}

/// One event a request.
fn sinks() -> Vec<Case> {
    let at = |sink, connections| Case::new(Group::Sinks, sink, closed(Body::EVENT, connections));
    vec![
        at(Sink::Null, CONNECTIONS).beside_hyper().quick(),
        at(Sink::File, CONNECTIONS)
            .beside_hyper()
            .goal(Goal::Cpu(1.4))
            .quick(),
        at(Sink::FileSynced, CONNECTIONS)
            .beside_hyper()
            .goal(Goal::Cpu(1.9))
            .quick(),
        at(Sink::Kafka, CONNECTIONS)
            .beside_hyper()
            .and(Alone::Kafka)
            .goal(Goal::Cpu(1.2)),
        at(Sink::PubSub, CONNECTIONS)
            .beside_hyper()
            .and(Alone::PubSub)
            .goal(Goal::Cpu(1.2)),
        at(Sink::NullFar, CONNECTIONS).beside_hyper().quick(),
        at(Sink::NullFar, 1000).beside_hyper(),
        at(Sink::KafkaFar, 1000).beside_hyper().and(Alone::KafkaFar),
    ]
}

fn sizes() -> Vec<Case> {
    let of = |bytes: usize, connections| {
        let load = closed(Body::one(bytes), connections);
        Case::new(Group::Sizes, Sink::File, load)
            .beside_hyper()
            .at(bytes)
    };
    vec![
        of(200, CONNECTIONS).quick(),
        of(EVENT_BYTES, CONNECTIONS),
        of(4 << 10, CONNECTIONS),
        of(64 << 10, CONNECTIONS).quick(),
        of(1 << 20, CONNECTIONS_MANY).quick(),
    ]
}

fn connections() -> Vec<Case> {
    let of = |connections: usize| {
        let load = closed(Body::EVENT, connections);
        Case::new(Group::Connections, Sink::File, load)
            .beside_hyper()
            .at(connections)
    };
    vec![of(1).quick(), of(8), of(64), of(256), of(1000).quick()]
}

fn many() -> Vec<Case> {
    let of = |sink, form| {
        let load = closed(Body::many(form), CONNECTIONS_MANY);
        Case::new(Group::Many, sink, load).beside_hyper()
    };
    let goals = |case: Case| {
        case.goal(Goal::RecordMicros(1.0))
            .goal(Goal::RecordsPerSecond(1e6))
            .quick()
    };
    vec![
        of(Sink::File, Form::Array(10)),
        of(Sink::File, Form::Array(100)),
        goals(of(Sink::File, Form::Array(MANY))),
        goals(of(Sink::File, Form::Lines(MANY))),
        of(Sink::Null, Form::Array(MANY)),
        of(Sink::FileSynced, Form::Array(MANY)),
        of(Sink::Kafka, Form::Array(MANY))
            .and(Alone::Kafka)
            .goal(Goal::Cpu(1.2)),
        of(Sink::PubSub, Form::Array(MANY))
            .and(Alone::PubSub)
            .goal(Goal::Cpu(1.2)),
    ]
}

/// Compressed bodies, beside the same ones plain and decompression alone.
fn decoded() -> Vec<Case> {
    let of = |coding| {
        let plain = closed(Body::many(Form::Lines(MANY)), CONNECTIONS_MANY);
        let body = plain.body.encoded(coding);
        Case::new(Group::Many, Sink::File, Load { body, ..plain })
            .base(What::Served(gateway(Sink::File, 1), plain))
            .and(Alone::Decode(body))
            .quick()
    };
    vec![of(Coding::Gzip), of(Coding::Zstd)]
}

/// What clients wait while requests come at a constant rate.
fn rates() -> Vec<Case> {
    let of = |sink, share: f64| {
        let load = Load {
            rate: Rate::Share(share),
            ..closed(Body::EVENT, CONNECTIONS)
        };
        Case::new(Group::Rates, sink, load)
            .beside_hyper()
            .at_share(share)
    };
    vec![
        of(Sink::File, 0.1),
        of(Sink::File, 0.25),
        of(Sink::File, 0.5).goal(Goal::P99(2.0)).quick(),
        of(Sink::File, 0.75),
        of(Sink::File, 0.9),
        of(Sink::Null, 0.5),
        of(Sink::FileSynced, 0.5),
        of(Sink::NullFar, 0.5),
    ]
}

/// The same work among many: beside itself among few, and beside what hyper does there.
fn scale() -> Vec<Case> {
    let load = |connections| closed(Body::EVENT, connections);
    let of = |users, connections| {
        Case::about(
            Group::Scale,
            What::Served(gateway(Sink::File, users), load(connections)),
            Sink::File,
        )
        .base(What::Served(gateway(Sink::File, 1), load(CONNECTIONS)))
        .beside(What::Served(Serving::Hyper, load(connections)))
        .goal(Goal::Cpu(1.1))
        .quick()
    };
    vec![
        of(USERS, CONNECTIONS),
        of(1, CONNECTIONS_MOST).beside(What::Served(Serving::Hyper, load(CONNECTIONS))),
    ]
}

fn start() -> Vec<Case> {
    let of = |users| What::Start(gateway(Sink::File, users));
    let start = |users| Case::about(Group::Start, of(users), Sink::File);
    vec![start(USERS).base(of(1)).goal(Goal::Seconds(1.0)).quick()]
}

fn closed(body: Body, connections: usize) -> Load {
    Load {
        body,
        connections,
        rate: Rate::Closed,
    }
}

fn gateway(sink: Sink, users: usize) -> Serving {
    Serving::Gateway(Setup { sink, users })
}

impl Case {
    /// A gateway with one user under a load.
    fn new(group: Group, sink: Sink, load: Load) -> Self {
        let mut case = Self::about(group, What::Served(gateway(sink, 1), load), sink);
        if let Rate::Share(share) = load.rate {
            case.name = format!("{}, {} % of saturation", case.name, share * 100.0);
        }
        case
    }

    fn about(group: Group, what: What, sink: Sink) -> Self {
        let name = match what {
            What::Served(Serving::Gateway(Setup { users, .. }), load) if users > 1 => {
                format!("{sink}: {load}, {users} users")
            }
            What::Served(_, load) => format!("{sink}: {load}"),
            What::Start(serving) => format!("start: {serving}"),
            What::Alone(_) => unreachable!("no case is about a worker"),
        };
        let sides = vec![Side {
            part: Part::Subject,
            what,
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

    fn base(mut self, what: What) -> Self {
        self.sides.push(Side {
            part: Part::Base,
            what,
        });
        self
    }

    fn beside(mut self, what: What) -> Self {
        self.sides.push(Side {
            part: Part::Beside,
            what,
        });
        self
    }

    /// Compares with bare hyper under the same load.
    fn beside_hyper(self) -> Self {
        let What::Served(_, load) = self.sides[0].what else {
            unreachable!("a start has no load")
        };
        self.base(What::Served(Serving::Hyper, load))
    }

    /// Adds what somebody else has to do anyway to what is compared with.
    fn and(self, alone: Alone) -> Self {
        self.base(What::Alone(alone))
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
