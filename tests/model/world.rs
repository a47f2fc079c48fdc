//! Takes a sequence's steps to a real gateway and to the model, and compares.

mod events;
mod requests;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use iem_gateway::config;
use iem_gateway::identity::directory::Store;
use iem_sink::testing::ScriptedSink;
use iem_test_support::brokers::postgres::Postgres;
use iem_test_support::{Answer, Connection, Gateway, Home, Http2};

use crate::account::{Books, Bytes, Record};
use crate::body::Rendered;
use crate::callers::Callers;
use crate::contract::{Contract, Judged};
use crate::outcome::{Fate, Standing};
use crate::run::Run;
use crate::setup::home;
use crate::words::{End, Kind, Request, Sequence, Setup, Step};

/// The sink of a world.
enum Sink {
    Scripted(ScriptedSink),
    /// The gateway is the real program and writes files.
    Files,
}

pub(crate) struct World {
    home: Home,
    store: Store,
    /// None between an end and a start.
    gateway: Option<Gateway>,
    sink: Sink,
    contract: Contract,
    plans: BTreeMap<Kind, Standing>,
    callers: Callers,
    books: Books,
    kept: Option<Connection>,
    http2: Option<Http2>,
    records: usize,
    markers: usize,
    step: usize,
    /// Topics whose workers may still have something in hand, and whether their plan is as it was.
    unsettled: BTreeMap<Kind, bool>,
    /// Answers by status.
    answers: BTreeMap<u16, usize>,
    /// Answers that the model excuses: the gateway, or the machine, needed more than the deadline.
    late: usize,
}

/// Returns the home of a gateway whose directory is in a database.
fn on(home: Home, url: &str) -> Home {
    home.set("directory.type", "postgres")
        .set("directory.url", url)
        .set("directory.snapshot", "snapshot.toml")
}

/// A request that is ready to be sent, and what is to come of it.
struct Ready<'r> {
    request: &'r Request,
    bytes: Vec<u8>,
    body: Rendered,
    judged: Judged,
    /// The fates of its records at the sink; `lingers` where one is still there when it is
    /// answered.
    fates: Vec<Fate>,
    lingers: bool,
    number: usize,
}

/// The result of a request.
struct Outcome {
    answer: Option<Answer>,
    sent: SystemTime,
    took: Duration,
}

impl World {
    pub(crate) fn scripted(setup: Setup) -> Self {
        let (home, sink) = (home(setup), ScriptedSink::new());
        let gateway = home.start_with(&sink);
        Self::new(home, gateway, Sink::Scripted(sink))
    }

    pub(crate) fn with_files(setup: Setup) -> Self {
        let home = home(setup)
            .set("sink.file.rotate_size", "4 KiB")
            .set("sink.file.compress", "zstd");
        let gateway = home.spawn();
        Self::new(home, gateway, Sink::Files)
    }

    /// With a directory in a database of its own.
    pub(crate) fn on_database(setup: Setup) -> Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        let server = SERVER.get_or_init(|| {
            let server = Postgres::start();
            let home = on(home(setup), &server.url());
            for command in ["migrate", "import directory.toml"] {
                let arguments: Vec<_> = ["directory"]
                    .into_iter()
                    .chain(command.split(' '))
                    .collect();
                let ran = home.run(&arguments);
                assert!(ran.status.success(), "{ran:?}");
            }
            server
        });
        let (home, sink) = (on(home(setup), &server.copy()), ScriptedSink::new());
        let gateway = home.start_with(&sink);
        Self::new(home, gateway, Sink::Scripted(sink))
    }

    fn new(home: Home, gateway: Gateway, sink: Sink) -> Self {
        let loaded = config::load(Some(&home.config()), None).expect("a configuration");
        Self {
            store: Store::of(&loaded.config.directory).expect("a directory"),
            home,
            gateway: Some(gateway),
            sink,
            contract: Contract::new(),
            plans: BTreeMap::new(),
            callers: Callers::new(),
            books: Books::default(),
            kept: None,
            http2: None,
            records: 0,
            markers: 0,
            step: 0,
            unsettled: BTreeMap::new(),
            answers: BTreeMap::new(),
            late: 0,
        }
    }

    /// Goes through all steps; says of the first that does not agree which it is, and why.
    pub(crate) fn run(mut self, sequence: &Sequence) -> Result<Run, String> {
        for (number, step) in sequence.steps.iter().enumerate() {
            self.step = number;
            self.take(step)
                .map_err(|fault| format!("step {number}, {step:?}:\n{fault}"))?;
        }
        self.step = sequence.steps.len();
        self.restart(End::Drain, &[])
            .map_err(|fault| format!("at the end: {fault}"))?;
        self.check(&Kind::ALL)
            .map_err(|fault| format!("at the end: {fault}"))?;
        Ok(Run {
            steps: self.step,
            answers: self.answers,
            records: self.books.counts(),
            late: self.late,
        })
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send(request) => self.send(request),
            Step::Together(requests) => self.send_together(requests, None),
            Step::Change(change) => self.change(change),
            Step::Plan(kind, plan) => {
                self.plan(*kind, plan);
                Ok(())
            }
            Step::Restart(end, requests) => self.restart(*end, requests),
        }
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("a gateway runs")
    }

    fn send(&mut self, request: &Request) -> Result<(), String> {
        let ready = self.prepare(request, 0)?;
        let (sent, began) = (SystemTime::now(), Instant::now());
        let answer = self.exchange(&ready)?;
        let took = began.elapsed();
        self.settle(
            &ready,
            &Outcome {
                answer: Some(answer),
                sent,
                took,
            },
        )?;
        self.await_quiet();
        self.check(request.call.kind().as_slice())
    }

    /// Sends all, ends the gateway if it is told to, and reads the answers. A gateway that ends
    /// owes none to whom it has not heard.
    fn send_together(&mut self, requests: &[Request], end: Option<End>) -> Result<(), String> {
        self.settle_plans();
        let numbered = requests.iter().enumerate();
        let ready = numbered.map(|(number, request)| self.prepare(request, number));
        let ready = ready.collect::<Result<Vec<_>, _>>()?;
        let (sent, began) = (SystemTime::now(), Instant::now());
        let mut connections: Vec<_> = ready.iter().map(|_| self.gateway().connect()).collect();
        for (connection, ready) in connections.iter_mut().zip(&ready) {
            connection.send(&ready.bytes);
        }
        if let Some(end) = end {
            self.begin_end(end);
        }
        for (connection, ready) in connections.iter_mut().zip(&ready) {
            let answer = connection.try_answer().ok().flatten();
            if answer.is_none() && end.is_none() {
                return Err(format!("no answer to {:?}", ready.request));
            }
            self.settle(
                ready,
                &Outcome {
                    answer,
                    sent,
                    took: began.elapsed(),
                },
            )?;
        }
        if end.is_some() {
            return Ok(());
        }
        self.await_quiet();
        let kinds: Vec<_> = requests
            .iter()
            .filter_map(|request| request.call.kind())
            .collect();
        self.check(&kinds)
    }

    /// Compares what the sink holds with what it must. Files are looked at only once the gateway
    /// has ended in order.
    fn check(&self, kinds: &[Kind]) -> Result<(), String> {
        for kind in kinds {
            let (records, bytes): (Vec<Record>, _) = match &self.sink {
                Sink::Scripted(sink) => (
                    sink.log(kind.topic())
                        .delivered
                        .iter()
                        .map(Into::into)
                        .collect(),
                    Bytes::Exact,
                ),
                Sink::Files if self.gateway.is_some() => return Ok(()),
                Sink::Files => (
                    self.home
                        .records(kind.topic())
                        .iter()
                        .map(Into::into)
                        .collect(),
                    Bytes::Tokens,
                ),
            };
            self.books.check(*kind, &records, bytes)?;
        }
        Ok(())
    }
}
