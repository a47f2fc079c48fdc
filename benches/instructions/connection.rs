//! A client's kept connection to a whole gateway, in memory: the code that serves sockets, a sink
//! that takes everything at once, and no kernel between them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use iem_gateway::Gateway;
use iem_gateway::config::{self, SinkKind};
use iem_gateway::identity::directory::Directory;
use iem_gateway::identity::token::{SigningKey, Tokens};
use iem_gateway::pipeline::Backend;
use iem_sink::testing::NullSink;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

const ON_THE_WAY: usize = 64 << 10;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SETTINGS: &str = r#"
server.listen = "127.0.0.1:0"
server.threads = 1
admin.listen = "127.0.0.1:0"
directory.path = "directory.toml"
tokens.key_file = "token.key"
"#;

pub struct Connection {
    request: Vec<u8>,
    answer: Vec<u8>,
    client: DuplexStream,
    local: LocalSet,
    runtime: Runtime,
    _gateway: Gateway,
    _home: tempfile::TempDir,
}

impl Connection {
    /// A connection that has been in use: what is made once has been made.
    pub fn open(directory: &str, body: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(home.path().join("directory.toml"), directory).expect("a file in it");
        std::fs::write(home.path().join("gateway.toml"), SETTINGS).expect("a file in it");
        let config = config::load(Some(&home.path().join("gateway.toml")), [])
            .expect("it holds")
            .config;
        let backend = Arc::new(Backend {
            name: "null",
            sink: Box::new(NullSink::default()),
        });
        let gateway = Gateway::open_with_sinks(&config, [(SinkKind::File, backend)].into())
            .expect("a gateway");

        let key = SigningKey::open(&home.path().join("token.key")).expect("the gateway's key");
        let users = Directory::parse(directory, "directory.toml".as_ref()).expect("it holds");
        let tokens = Tokens::new(&key, &config.tokens);
        let token = tokens
            .issue(&users.users()[0], SystemTime::now())
            .expect("a token")
            .access;
        let request = format!(
            "POST /publish/allevents/ HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
             Cookie: access_token={token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );

        let (client, server) = tokio::io::duplex(ON_THE_WAY);
        let (front, local) = (gateway.front(), LocalSet::new());
        local.spawn_local(async move {
            let _ = front.serve(server, PEER).await;
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (request, answer) = (request.into_bytes(), vec![0; 4096]);
        let mut connection = Self {
            request,
            answer,
            client,
            local,
            runtime,
            _gateway: gateway,
            _home: home,
        };
        connection.publish(10);
        connection
    }

    /// Publishes so many times, one after the other.
    pub fn publish(&mut self, times: usize) {
        let Self {
            request,
            answer,
            client,
            local,
            runtime,
            ..
        } = self;
        local.block_on(runtime, async {
            for _ in 0..times {
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
