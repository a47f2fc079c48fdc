//! Checks every sink periodically, so that readiness reports an outage before a client meets it,
//! and its end without a client's request.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::background::{Background, Signals};
use crate::pipeline::{Backend, Caller, Vitals};
use crate::sinks::Backends;

/// The interval between two checks of a sink that is up.
const INTERVAL: Duration = Duration::from_secs(5);
/// The interval between two checks of a sink that is down.
const INTERVAL_DOWN: Duration = Duration::from_secs(1);
/// The time for one check.
const DEADLINE: Duration = Duration::from_secs(2);

/// A background thread for each backend that checks it.
pub struct Checker(Vec<Background>);

impl Checker {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start(backends: &Backends, vitals: &Arc<[Vitals]>) -> io::Result<Self> {
        backends
            .values()
            .map(|backend| {
                let backend = Arc::clone(backend);
                let vitals = Arc::clone(vitals);
                Background::start(format!("check-{}", backend.name), move |signals| {
                    run(&backend, &vitals, signals);
                })
            })
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Stops the threads. A check that hangs is left behind: the process is about to end.
    pub fn stop(self) {
        let deadline = Instant::now() + DEADLINE;
        for thread in &self.0 {
            thread.signal_stop();
        }
        for thread in &self.0 {
            thread.stop(deadline);
        }
    }
}

fn run(backend: &Backend, vitals: &[Vitals], signals: &Signals) {
    let mut interval = INTERVAL_DOWN;
    while signals.wait(interval) {
        interval = if check(backend, vitals) {
            INTERVAL
        } else {
            INTERVAL_DOWN
        };
    }
}

/// Checks the sink; returns whether it is up.
fn check(backend: &Backend, vitals: &[Vitals]) -> bool {
    let of_sink = || {
        vitals
            .iter()
            .map(Vitals::health)
            .filter(|health| health.sink == backend.name)
    };
    let deadline = Instant::now() + DEADLINE;
    of_sink().for_each(|health| health.calls(Caller::Check, deadline));
    let result = backend.sink.check(deadline);
    let now = Instant::now();
    for health in of_sink() {
        health.returned(Caller::Check);
        match &result {
            Ok(()) => health.works(Caller::Check, now),
            Err(error) => health.fails(Caller::Check, error, now),
        }
    }
    result.is_ok()
}
