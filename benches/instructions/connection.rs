//! A client's persistent connection to a whole gateway, in memory: the gateway serves it like a
//! socket, and a null sink delivers at once. No socket and no kernel are involved.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use iem_gateway::Gateway;
use iem_gateway::config::{self, SinkKind};
use iem_gateway::identity::directory::Directory;
use iem_gateway::identity::sessions::Session;
use iem_gateway::identity::token::{SigningKey, Tokens};
use iem_gateway::pipeline::Backend;
use iem_sink::testing::NullSink;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// The bytes in flight in each direction.
const IN_FLIGHT: usize = 64 << 10;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SETTINGS: &str = r#"
server.listen = "127.0.0.1:0"
server.threads = 1
admin.listen = "127.0.0.1:0"
directory.path = "directory.toml"
tokens.key_file = "token.key"
"#;

/// The digits of an idempotency key.
const KEY_DIGITS: usize = 8;

pub struct Connection {
    request: Vec<u8>,
    /// The place of the idempotency key's digits in the request, if it has a key.
    key_at: Option<usize>,
    answer: Vec<u8>,
    client: DuplexStream,
    local: LocalSet,
    runtime: Runtime,
    _gateway: Gateway,
    _home: tempfile::TempDir,
}

impl Connection {
    /// Opens a connection and uses it, so that everything that is made once exists. `with_keys`, each
    /// request has an idempotency key of its own.
    ///
    /// All threads run on one core: the worker answers only once the serving thread sleeps. Else the
    /// count would depend on which of the two is sooner, by up to 6 %.
    pub fn open(directory: &str, body: &str, with_keys: bool) -> Self {
        let cores = sched_getaffinity(None).expect("a thread has its cores");
        let first = (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core));
        let mut one = CpuSet::new();
        one.set(first.expect("a core"));
        sched_setaffinity(None, &one).expect("a thread may stay on one core");
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(home.path().join("directory.toml"), directory).expect("the file is written");
        std::fs::write(home.path().join("gateway.toml"), SETTINGS).expect("the file is written");
        let config = config::load(Some(&home.path().join("gateway.toml")), [])
            .expect("the configuration is valid")
            .config;
        let backend = Arc::new(Backend {
            name: "null",
            sink: Box::new(NullSink::default()),
        });
        let gateway = Gateway::open_with_sinks(&config, [(SinkKind::File, backend)].into())
            .expect("the gateway opens");

        let key = SigningKey::open(&home.path().join("token.key")).expect("the key is valid");
        let users =
            Directory::parse(directory, "directory.toml".as_ref()).expect("the directory is valid");
        let tokens = Tokens::new(&key, &config.tokens);
        let now = SystemTime::now();
        let token = tokens
            .issue(users.users()[0], &Session::begin(now), now)
            .expect("a token is issued")
            .access;
        let start = "POST /publish/allevents/ HTTP/1.1\r\nHost: gateway\r\n";
        let name = "Idempotency-Key: ";
        let key_at = with_keys.then_some(start.len() + name.len());
        let key = key_at.map_or(String::new(), |_| format!("{name}{:0KEY_DIGITS$}\r\n", 0));
        let request = format!(
            "{start}{key}Content-Type: application/json\r\nCookie: access_token={token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );

        let (client, server) = tokio::io::duplex(IN_FLIGHT);
        let front = gateway.front();
        let local = LocalSet::new();
        local.spawn_local(async move {
            let _ = front.serve(server, PEER).await;
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime is created");
        let mut connection = Self {
            request: request.into_bytes(),
            key_at,
            answer: vec![0; 4096],
            client,
            local,
            runtime,
            _gateway: gateway,
            _home: home,
        };
        connection.publish(10);
        connection
    }

    /// Publishes the event `times` times, one after the other.
    pub fn publish(&mut self, times: usize) {
        let Self {
            request,
            key_at,
            answer,
            client,
            local,
            runtime,
            ..
        } = self;
        local.block_on(runtime, async {
            for _ in 0..times {
                if let Some(key_at) = *key_at {
                    count_up(&mut request[key_at..key_at + KEY_DIGITS]);
                }
                client.write_all(request).await.expect("the gateway reads");
                let length = client.read(answer).await.expect("the gateway answers");
                assert!(
                    answer[..length].starts_with(b"HTTP/1.1 200 OK\r\n"),
                    "{:?}",
                    &answer[..length]
                );
            }
        });
    }
}

/// Adds 1 to a decimal number.
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}
