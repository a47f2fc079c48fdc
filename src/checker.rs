//! Asks every sink again and again whether it would take records, so that readiness knows of an
//! outage before a client does, and of its end without one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::pipeline::{Backend, Caller, Vitals};
use crate::sinks::Backends;
use crate::threads::all_ended;

/// Between two looks at a sink that is well, and at one that is not.
const INTERVAL: Duration = Duration::from_secs(5);
const INTERVAL_DOWN: Duration = Duration::from_secs(1);
/// For one look.
const DEADLINE: Duration = Duration::from_secs(2);

/// One plain thread for each backend.
pub struct Checker {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Checker {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system's, of a thread that it does not give.
    pub fn start(backends: &Backends, vitals: &Arc<[Vitals]>) -> io::Result<Self> {
        let start = |backend: &Arc<Backend>| {
            let (stop, stopped) = mpsc::channel();
            let (backend, vitals) = (Arc::clone(backend), Arc::clone(vitals));
            let thread = std::thread::Builder::new().name(format!("check-{}", backend.name));
            let thread = thread.spawn(move || follow(&backend, &vitals, &stopped))?;
            Ok((stop, thread))
        };
        Ok(Self {
            threads: backends.values().map(start).collect::<io::Result<_>>()?,
        })
    }

    /// Ends the threads. A check that hangs is left behind: the process is about to end.
    pub fn stop(self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(stops);
        all_ended(&threads, Instant::now() + DEADLINE);
    }
}

/// Looks at the sink until the other end of `stopped` is gone.
fn follow(backend: &Backend, vitals: &[Vitals], stopped: &Receiver<()>) {
    let mut interval = INTERVAL_DOWN;
    while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        interval = if check(backend, vitals) {
            INTERVAL
        } else {
            INTERVAL_DOWN
        };
    }
}

/// Whether the sink is well.
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
    of_sink().for_each(|health| health.returned(Caller::Check, &result, Instant::now()));
    result.is_ok()
}
