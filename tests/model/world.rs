//! Takes a sequence's steps to a real gateway and to the model, and compares.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use iem_sink::testing::ScriptedSink;
use rustix::process::Signal;

use super::account::{Books, Bytes, Entry, Record, There};
use super::body::{Rendered, TRACE, request as request_bytes};
use super::callers::Callers;
use super::change;
use super::contract::{Contract, Judged};
use super::outcome::{Fate, Standing, verdict};
use super::setup::{DEADLINE, behaviour, home};
use super::verdict::MARKERS;
use super::words::{
    Act, Call, Change, End, Kind, Plan, Request, Sequence, Setup, Step, Trace, Via,
};
use crate::harness::{AMPLE, Answer, Connection, Gateway, Home, Http2, eventually};

/// What takes the records.
enum Sink {
    Scripted(ScriptedSink),
    /// The gateway is the real program and writes files.
    Files,
}

pub(crate) struct World {
    home: Home,
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

/// A request that is ready to be sent, and what is to come of it.
struct Ready<'r> {
    request: &'r Request,
    bytes: Vec<u8>,
    body: Rendered,
    judged: Judged,
    /// What the sink does with its records, and whether one is still there when it is answered.
    fates: Vec<Fate>,
    lingers: bool,
    number: usize,
}

/// What came of a request.
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

    fn new(home: Home, gateway: Gateway, sink: Sink) -> Self {
        Self {
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

    /// Writes the request, and asks the model. Whoever shall send the newest token gets it first.
    fn prepare<'r>(&mut self, request: &'r Request, number: usize) -> Result<Ready<'r>, String> {
        let gateway = self.gateway.as_ref().expect("a gateway runs");
        self.callers.freshen(request, &self.contract, gateway)?;
        let Request {
            auth,
            call,
            via,
            trace,
        } = request;
        let judged = self.contract.judge(auth, call, self.callers.held());
        let (body, target) = self.render(call);
        let method = if matches!(call, Call::Running) {
            "GET"
        } else {
            "POST"
        };
        let bytes = request_bytes(
            method,
            &target,
            &self.callers.lines(auth, call, &self.contract),
            &body,
            *trace,
            *via,
        );
        let (fates, lingers) = match (&judged, call.kind()) {
            (Ok(deliveries), Some(kind)) => self.plans.entry(kind).or_default().take(deliveries),
            _ => (Vec::new(), false),
        };
        Ok(Ready {
            request,
            bytes,
            body,
            judged,
            fates,
            lingers,
            number,
        })
    }

    fn render(&mut self, call: &Call) -> (Rendered, String) {
        let mut next_id = || {
            self.records += 1;
            format!("r{}", self.records)
        };
        match call {
            Call::Publish(publish) => (publish.render(next_id), publish.path().to_owned()),
            Call::Ticket(ticket) => (ticket.render(next_id()), ticket.target()),
            Call::LogIn(..) => (Rendered::of(String::new()), "/api/v1/user/token".to_owned()),
            Call::Refresh(token) => {
                let token = self.callers.refresh_token(*token);
                let body = serde_json::json!({ "refresh_token": token }).to_string();
                (Rendered::of(body), "/api/v1/user/token/refresh".to_owned())
            }
            Call::Running => (
                Rendered::of(String::new()),
                "/publish/healthcheck/".to_owned(),
            ),
        }
    }

    fn exchange(&mut self, ready: &Ready) -> Result<Answer, String> {
        let no_answer = |error: std::io::Error| format!("no answer: {error}");
        match ready.request.via {
            Via::Http2 => {
                let address = self.gateway().address;
                let http2 = self.http2.get_or_insert_with(|| Http2::open(address));
                http2
                    .try_send(&ready.bytes)
                    .expect("it can be said in HTTP/2")
                    .map_err(no_answer)
            }
            Via::Kept => {
                let mut connection = self.kept.take().unwrap_or_else(|| self.gateway().connect());
                let answer = connection
                    .send(&ready.bytes)
                    .try_answer()
                    .map_err(no_answer)?;
                let answer = answer.ok_or("the connection ended without an answer")?;
                if answer.header("connection").is_none() {
                    self.kept = Some(connection);
                }
                Ok(answer)
            }
            Via::Fresh | Via::Chunked => {
                let answer = self
                    .gateway()
                    .connect()
                    .send(&ready.bytes)
                    .try_answer()
                    .map_err(no_answer)?;
                answer.ok_or_else(|| "the connection ended without an answer".to_owned())
            }
        }
    }

    /// Compares an answer with the model's, and writes down what must be at the sink.
    fn settle(&mut self, ready: &Ready, outcome: &Outcome) -> Result<(), String> {
        if let Some(answer) = &outcome.answer {
            *self.answers.entry(answer.status).or_default() += 1;
        }
        if let Err(verdict) = &ready.judged {
            if let Some(answer) = &outcome.answer {
                verdict.check(answer, &self.contract)?;
                self.callers
                    .keep(&ready.request.call, answer, &self.contract);
            }
            self.book(ready, outcome, |_| There::Never);
            return Ok(());
        }
        let kind = ready.request.call.kind().expect("a call with records");
        if ready.lingers {
            self.unsettled.insert(kind, true);
        }
        let Some(answer) = &outcome.answer else {
            self.book(ready, outcome, |_| There::Perhaps);
            return Ok(());
        };
        let is_late = answer.status == 503 && outcome.took >= DEADLINE;
        match verdict(kind, &ready.fates).check(answer, &self.contract) {
            Ok(()) => self.book(ready, outcome, |index| match ready.fates[index] {
                Fate::Delivered => There::Once,
                Fate::Failed => There::Perhaps,
                Fate::Rejected => There::Never,
            }),
            Err(_) if is_late => {
                self.late += 1;
                self.unsettled.insert(kind, false);
                self.book(ready, outcome, |_| There::Perhaps);
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Waits until no topic has anything left in hand. What its sink has done of a plan nobody
    /// knows where an answer was late: so it begins a new one.
    fn await_quiet(&mut self) {
        for (kind, is_as_planned) in std::mem::take(&mut self.unsettled) {
            if !is_as_planned {
                self.plan(
                    kind,
                    &Plan {
                        once: Vec::new(),
                        then: Act::Deliver,
                    },
                );
            } else if let Sink::Scripted(sink) = &self.sink {
                sink.release(kind.topic());
            }
            let topic = format!("topic=\"{}\"", kind.topic());
            eventually(AMPLE, "the topic has nothing in hand", || {
                self.gateway()
                    .metric("iem_gateway_queue_records", &[&topic])
                    < 0.5
            });
        }
    }

    fn book(&mut self, ready: &Ready, outcome: &Outcome, there: impl Fn(usize) -> There) {
        let Some(kind) = ready.request.call.kind() else {
            return;
        };
        for (index, written) in ready.body.records.iter().enumerate() {
            self.books.add(Entry {
                id: written.id.clone(),
                kind,
                data: written.data.clone(),
                delivery: ready
                    .judged
                    .as_ref()
                    .ok()
                    .map(|deliveries| deliveries[index].clone()),
                trace: (ready.request.trace == Trace::Valid).then_some(TRACE),
                there: there(index),
                sent: outcome.sent,
                answered: SystemTime::now(),
                step: self.step,
                request: ready.number,
            });
        }
    }

    /// Changes the directory, and waits until the gateway has read it.
    fn change(&mut self, change: &Change) -> Result<(), String> {
        let mut after = self.contract.clone();
        let fits = after.change(change).is_ok();
        let password = match change {
            Change::Passwd(user) | Change::AddUser(user, _) => after.last_password(user),
            _ => 0,
        };
        let path = self.home.path("directory.toml");
        let is_program = matches!(self.sink, Sink::Files);
        // Two, so that there are more customers than before even where one is removed.
        let markers = if is_program {
            self.markers..self.markers + 2
        } else {
            0..0
        };
        let names: Vec<_> = markers
            .clone()
            .map(|number| format!("{MARKERS}{number}"))
            .collect();
        if change::make(&path, change, password, &names) != fits {
            return Err(format!("the change fits: {fits}"));
        }
        if !fits {
            return Ok(());
        }
        self.contract = after;
        if !is_program {
            self.gateway().reload();
            return Ok(());
        }
        self.markers = markers.end;
        let count =
            u32::try_from(self.contract.customers() + self.markers).expect("a small number");
        eventually(AMPLE, "the change holds", || {
            let found = self
                .gateway()
                .metric("iem_gateway_directory_customers", &[]);
            (found - f64::from(count)).abs() < 0.5
        });
        Ok(())
    }

    fn plan(&mut self, kind: Kind, plan: &Plan) {
        let Sink::Scripted(sink) = &self.sink else {
            return;
        };
        self.plans.insert(kind, plan.into());
        sink.set(kind.topic(), behaviour(plan.then));
        for act in &plan.once {
            sink.once(kind.topic(), behaviour(*act));
        }
    }

    /// Which of several requests meets what happens once, nobody knows: so nothing does.
    fn settle_plans(&mut self) {
        let Sink::Scripted(sink) = &self.sink else {
            return;
        };
        for (kind, plan) in &mut self.plans {
            plan.settle();
            sink.set(kind.topic(), behaviour(plan.then()));
        }
    }

    fn restart(&mut self, end: End, requests: &[Request]) -> Result<(), String> {
        self.send_together(requests, Some(end))?;
        (self.kept, self.http2) = (None, None);
        let mut gateway = self.gateway.take().expect("a gateway runs");
        match (&self.sink, end) {
            (Sink::Scripted(_), _) => gateway.stop(),
            (Sink::Files, End::Kill) => {}
            (Sink::Files, End::Drain) => {
                let status = gateway.wait();
                if status.code() != Some(0) {
                    return Err(format!("it ended with {status:?}:\n{}", gateway.log()));
                }
                self.check(&Kind::ALL)?;
            }
        }
        drop(gateway);
        self.gateway = Some(match &self.sink {
            Sink::Scripted(sink) => self.home.start_with(sink),
            Sink::Files => self.home.spawn(),
        });
        self.await_quiet();
        Ok(())
    }

    fn begin_end(&mut self, end: End) {
        let gateway = self.gateway.as_mut().expect("a gateway runs");
        match (&self.sink, end) {
            (Sink::Scripted(_), _) => gateway.begin_stop(),
            (Sink::Files, End::Drain) => gateway.signal(Signal::TERM),
            (Sink::Files, End::Kill) => gateway.kill(),
        }
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

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) steps: usize,
    pub(crate) answers: BTreeMap<u16, usize>,
    /// Records that had to be there, could be, and must not.
    pub(crate) records: [usize; 3],
    pub(crate) late: usize,
}

impl Run {
    pub(crate) fn add(&mut self, other: Self) {
        self.steps += other.steps;
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        for (sum, count) in self.records.iter_mut().zip(other.records) {
            *sum += count;
        }
        self.late += other.late;
    }
}
