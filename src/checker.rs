//! Asks every sink again and again whether it would take records, so that readiness knows of an outage before a
//! client does, and of its end without one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::pipeline::{Backend, Vitals};
use crate::sinks::Backends;

const INTERVAL: Duration = Duration::from_secs(2);
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
            let thread =
                std::thread::Builder::new().name(format!("check-{}", backend.name)).spawn(move || {
                    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                        check(&backend, &vitals);
                    }
                })?;
            Ok((stop, thread))
        };
        Ok(Self { threads: backends.values().map(start).collect::<io::Result<_>>()? })
    }

    /// Ends the threads. A check that hangs is left behind: the process is about to end.
    pub fn stop(self) {
        for (stop, thread) in self.threads {
            drop(stop);
            let until = Instant::now() + DEADLINE;
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn check(backend: &Backend, vitals: &[Vitals]) {
    let began = Instant::now();
    let result = backend.sink.check(began + DEADLINE);
    for health in vitals.iter().map(Vitals::health).filter(|health| health.sink == backend.name) {
        match &result {
            Ok(()) => health.succeeded(began),
            Err(error) => health.failed(error, Instant::now()),
        }
    }
}
