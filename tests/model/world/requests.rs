//! Requests of a step: written, sent, answered, and judged by the model.

use std::time::SystemTime;

use iem_test_support::{Answer, Http2};

use super::{Outcome, Ready, World};
use crate::account::{Entry, There};
use crate::body::{Rendered, TRACE, request as request_bytes};
use crate::outcome::{Fate, verdict};
use crate::setup::DEADLINE;
use crate::words::{Call, Request, Trace, Via};

impl World {
    /// Writes the request, and asks the model. Whoever shall send the newest token gets it first.
    pub(super) fn prepare<'r>(
        &mut self,
        request: &'r Request,
        number: usize,
    ) -> Result<Ready<'r>, String> {
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

    pub(super) fn exchange(&mut self, ready: &Ready) -> Result<Answer, String> {
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
    pub(super) fn settle(&mut self, ready: &Ready, outcome: &Outcome) -> Result<(), String> {
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
}
