//! The one gateway of a process, with the contract tests' directory and a sink in memory, and a
//! client's whole connection to it: the bytes that the client sends go in, those that the gateway
//! sends come out.
//!
//! The connection is served by the code that serves sockets, on a clock that stands while anything
//! is done and jumps to the next timer when nothing is: a time limit costs no time. What has to
//! hold after any connection is checked here.

mod secrets;

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use iem_gateway::Gateway as Whole;
use iem_gateway::config::{self, SinkKind};
use iem_gateway::identity::directory::Directory;
use iem_gateway::pipeline::Backend;
use iem_gateway::record::traceparent;
use iem_gateway::testing::Front;
use iem_test_support::memory_sink::{Behaviour, MemorySink, Seen, Sunk};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use secrets::Secrets;
pub use secrets::hash;

/// Bytes on their way between client and gateway, each way.
const ON_THE_WAY: usize = 16 << 10;
/// No connection lasts so long with a client that has fallen silent.
const CONNECTION_TIME: Duration = Duration::from_hours(24);
/// How long what is under way when a connection ends may take, in real time.
const SETTLING_TIME: Duration = Duration::from_secs(8);
/// A worker makes room and tells of it in two steps; the clock must not jump between them.
const BETWEEN_STEPS: Duration = Duration::from_micros(20);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Small sizes, so that inputs reach the limits.
const SETTINGS: &str = r#"
server.listen = "127.0.0.1:0"
server.threads = 1
server.max_body = "320 KiB"
server.memory = "2240 KiB"
admin.listen = "127.0.0.1:0"
directory.path = "directory.toml"
tokens.key_file = "token.key"
login.failures_per_user = 1000000
login.failures_per_peer = 1000000
topics.events = { queue_bytes = "320 KiB", batch_bytes = "320 KiB", queue_records = 10000 }
topics.metrics = { queue_bytes = "320 KiB", batch_bytes = "320 KiB", workers = 3 }
topics.entities = { queue_bytes = "320 KiB", batch_bytes = "320 KiB" }
topics.services = { queue_bytes = "320 KiB", batch_bytes = "320 KiB", queue_records = 3, batch_records = 2 }
topics.healthchecks = { queue_bytes = "320 KiB", batch_bytes = "320 KiB" }
topics.tickets = { queue_bytes = "320 KiB", batch_bytes = "320 KiB" }
"#;

pub static GATEWAY: LazyLock<Gateway> = LazyLock::new(Gateway::start);

pub struct Gateway {
    pub secrets: Secrets,
    directory: Directory,
    sunk: Arc<Sunk>,
    /// Connections come one after the other, so that what is found is of one.
    turn: Mutex<()>,
    whole: Whole,
    _home: TempDir,
}

/// A step of a client.
pub enum Step {
    Send(Vec<u8>),
    /// Nothing, for so long.
    Wait(Duration),
    /// The gateway is told to stop.
    Drain,
}

/// How a client behaves.
#[derive(Clone, Copy)]
pub struct Conduct {
    /// At the end it falls silent, and does not end its side.
    pub silent: bool,
    /// It reads nothing before the gateway has ended the connection.
    pub deaf: bool,
    /// The clock does not wait for the sink.
    pub hasty: bool,
    /// The gateway is told to stop while the client sends.
    pub draining: bool,
    pub behaviour: Behaviour,
}

impl Conduct {
    /// By the bits of a byte; those of `0` are a client without a fault.
    pub fn of(byte: u8) -> Self {
        Self {
            silent: byte & 1 != 0,
            deaf: byte & 2 != 0,
            hasty: byte & 64 != 0,
            draining: byte & 128 != 0,
            behaviour: Behaviour::of(byte >> 2),
        }
    }
}

/// The result of a connection.
pub struct Exchange {
    pub received: Vec<u8>,
    pub records: Vec<Seen>,
}

impl Gateway {
    fn start() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (secrets, directory) = Secrets::new(home.path());
        std::fs::write(home.path().join("gateway.toml"), SETTINGS).expect("a file in it");
        let config = config::load(Some(&home.path().join("gateway.toml")), [])
            .expect("it holds")
            .config;
        let sunk = Arc::new(Sunk::default());
        let sink = Box::new(MemorySink(Arc::clone(&sunk)));
        let backends = [(
            SinkKind::File,
            Arc::new(Backend {
                name: "memory",
                sink,
            }),
        )]
        .into();
        let whole = Whole::open_with_sinks(&config, backends).expect("a gateway");
        Self {
            secrets,
            directory,
            sunk,
            turn: Mutex::default(),
            whole,
            _home: home,
        }
    }

    /// A client's connection, from its first byte to its end.
    pub fn converse(&self, steps: Vec<Step>, conduct: Conduct) -> Exchange {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.sunk.behave(conduct.behaviour);
        let front = self.whole.front();
        let permits = front.permits();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let received = runtime.expect("a runtime").block_on(async {
            let connection = pin!(connection(&front, steps, conduct));
            let ended = tokio::time::timeout(CONNECTION_TIME, connection).await;
            ended.expect("the connection ends")
        });
        settle(&front, permits);
        Exchange {
            received,
            records: self.sunk.take(),
        }
    }

    /// Checks the rules for every record: its sender may send it, and it is one JSON object with
    /// its customer.
    pub fn check_record(&self, record: &Seen, users: &BTreeSet<String>) {
        assert!(
            users.contains(&record.user),
            "a record without a token: {record:?}"
        );
        let user = self
            .directory
            .user(&record.user)
            .expect("a user of the directory");
        assert!(user.enabled && !user.organization, "{record:?}");
        let customer = self
            .directory
            .customer(&record.customer)
            .expect("a customer of the directory");
        assert!(customer.active, "{record:?}");
        assert!(
            user.superadmin || user.names_customer(&record.customer),
            "{record:?}"
        );
        let value = serde_json::from_slice::<&RawValue>(&record.data).expect("a record is JSON");
        assert!(value.get().starts_with('{'), "{record:?}");
        let key = record
            .key
            .strip_prefix(&record.customer)
            .expect("a key begins with the customer");
        assert!(key.is_empty() || key.starts_with('/'), "{record:?}");
        if let Some(trace) = &record.traceparent {
            assert_eq!(traceparent(trace.as_bytes()), Some(&**trace));
        }
        if record.is_ticket() {
            let id = record
                .integration
                .as_deref()
                .expect("a ticket has its integration");
            let integration = self
                .directory
                .integration(&record.customer, id)
                .expect("and it is there");
            let state = record.state.as_deref();
            assert!(
                state.is_none_or(|state| integration.states.iter().any(|(_, name)| name == state))
            );
        } else if let Ok(object) = serde_json::from_slice::<Map<String, Value>>(&record.data) {
            // A whole reading refuses some valid JSON.
            let named = ["envcustomerid", "envcustomer_id"].map(|field| object.get(field));
            for value in named.into_iter().flatten() {
                assert_eq!(
                    value.as_str().map_or(value.to_string(), str::to_owned),
                    record.customer
                );
            }
            assert!(named.iter().any(Option::is_some), "{record:?}");
        }
    }
}

async fn connection(front: &Front, steps: Vec<Step>, conduct: Conduct) -> Vec<u8> {
    let (client, server) = tokio::io::duplex(ON_THE_WAY);
    let (mut reading, mut writing) = tokio::io::split(client);
    let (ended, over) = tokio::sync::oneshot::channel::<()>();
    let serve = async {
        // The stream goes with it, as a socket does.
        let _ = patiently(front, front.serve(server, PEER), conduct).await;
        drop(ended);
    };
    let write = async {
        for step in steps {
            match step {
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Drain => front.drain(),
                Step::Send(bytes) => {
                    if writing.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
        if !conduct.silent {
            let _ = writing.shutdown().await;
        }
    };
    let read = async {
        if conduct.deaf {
            let _ = over.await;
        }
        let mut received = Vec::new();
        let _ = reading.read_to_end(&mut received).await;
        received
    };
    tokio::join!(serve, write, read).2
}

/// Does `work`, and stops the clock while a reader or the sink has something to do for it.
async fn patiently<F: Future>(front: &Front, work: F, conduct: Conduct) -> F::Output {
    let idle = front.permits().1;
    let mut work = pin!(work);
    let mut waiting = None::<Instant>;
    poll_fn(|context| {
        let progress = work.as_mut().poll(context);
        if !conduct.hasty && front.waiting() != (0, 0) {
            let began = *waiting.get_or_insert_with(Instant::now);
            assert!(
                began.elapsed() < SETTLING_TIME,
                "a queue keeps {:?}",
                front.waiting()
            );
            // Who found the worker asleep wakes it when it is polled again; until then no clock
            // moves.
            thread::yield_now();
            context.waker().wake_by_ref();
        } else if waiting.take().is_some() {
            thread::sleep(BETWEEN_STEPS);
            context.waker().wake_by_ref();
        }
        if front.permits().1 < idle {
            // What is read comes back to this task alone, which so is never idle.
            thread::yield_now();
            context.waker().wake_by_ref();
        }
        progress
    })
    .await
}

/// All that a connection held is given back after it. What still runs, on a reader or a worker, may
/// finish.
fn settle(front: &Front, permits: (usize, usize)) {
    let held = || (front.memory_used(), front.permits(), front.waiting());
    let began = Instant::now();
    while held() != (0, permits, (0, 0)) {
        assert!(
            began.elapsed() < SETTLING_TIME,
            "{:?} instead of {permits:?}",
            held()
        );
        thread::yield_now();
    }
}
