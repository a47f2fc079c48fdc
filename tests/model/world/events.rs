//! Events beside the requests: changes of the directory, faults of the sink, restarts.

use iem_gateway::identity::directory::Store;
use iem_test_support::{AMPLE, eventually};
use rustix::process::Signal;

use super::{Sink, World};
use crate::change as directory_change;
use crate::contract::Contract;
use crate::setup::behaviour;
use crate::verdict::MARKERS;
use crate::words::{Act, Change, End, Kind, Plan, Request};

impl World {
    /// Changes the directory, and waits until the gateway has read it.
    pub(super) fn change(&mut self, change: &Change) -> Result<(), String> {
        let mut after = self.contract.clone();
        let fits = after.change(change).is_ok();
        let password = match change {
            Change::Passwd(user) | Change::AddUser(user, _) => after.last_password(user),
            _ => 0,
        };
        let is_program = matches!(self.sink, Sink::Files);
        if matches!(self.store, Store::Database(_)) {
            return self.change_database(change, password, fits, after);
        }
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
        if directory_change::make(&self.store, change, password, &names) != fits {
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

    /// Changes a directory in a database, with another writer beside.
    fn change_database(
        &mut self,
        change: &Change,
        password: usize,
        fits: bool,
        after: Contract,
    ) -> Result<(), String> {
        let names = [format!("{MARKERS}{}", self.markers)];
        self.markers += 1;
        if directory_change::make_beside(&self.store, change, password, &names) != fits {
            return Err(format!("the change fits: {fits}"));
        }
        if fits {
            self.contract = after;
        }
        let (revision, _) = self.store.members().expect("the database is there");
        eventually(AMPLE, "the change holds", || {
            let found = self.gateway().metric("iem_gateway_directory_revision", &[]);
            found.to_string() == revision.to_string()
        });
        Ok(())
    }

    pub(super) fn plan(&mut self, kind: Kind, plan: &Plan) {
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
    pub(super) fn settle_plans(&mut self) {
        let Sink::Scripted(sink) = &self.sink else {
            return;
        };
        for (kind, plan) in &mut self.plans {
            plan.settle();
            sink.set(kind.topic(), behaviour(plan.then()));
        }
    }

    pub(super) fn restart(&mut self, end: End, requests: &[Request]) -> Result<(), String> {
        self.send_together(requests, Some(end))?;
        if end == End::Kill {
            self.callers.forget_ended();
        }
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

    pub(super) fn begin_end(&mut self, end: End) {
        let gateway = self.gateway.as_mut().expect("a gateway runs");
        match (&self.sink, end) {
            (Sink::Scripted(_), _) => gateway.begin_stop(),
            (Sink::Files, End::Drain) => gateway.signal(Signal::TERM),
            (Sink::Files, End::Kill) => gateway.kill(),
        }
    }

    /// Waits until no topic has anything left in hand. What its sink has done of a plan nobody
    /// knows where an answer was late: so it begins a new one.
    pub(super) fn await_quiet(&mut self) {
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
}
