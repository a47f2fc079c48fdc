//! A benchmark that counts instructions with callgrind: for each stage of a record's path, and for
//! whole requests. A busy machine does not change the counts, so that each has a bound here, a few
//! percent above its last known value, and `.ci/run` fails beyond it. When a count falls for good,
//! its bound is lowered.
//!
//! Neither the kernel's instructions nor those of other threads are counted. In a whole request,
//! the sink runs on another thread.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "the harness's macros expand to this"
)]

#[path = "instructions/connection.rs"]
mod connection;

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use iem_gateway::config::Config;
use iem_gateway::encoding::{Decoder, Encoding};
use iem_gateway::identity::authentication::access_token;
use iem_gateway::identity::directory::{Directory, LiveDirectory, User};
use iem_gateway::identity::password::{Cost, Password, PasswordHash};
use iem_gateway::identity::sessions::Session;
use iem_gateway::identity::token::{SigningKey, Tokens};
use iem_gateway::identity::{Identity, LastToken, authorization};
use iem_gateway::memory::{Buffer, MemoryBudget};
use iem_gateway::record::{Form, KeyFields, Kind, parse_body};
use iem_sink::testing::{record, topic};
use iem_sink::{Context, DeliveryToken, Outcome, Record, Sending, Settled, Sink, Writer};
use iem_sink_file::{FileConfig, FileSink};

use connection::Connection;

/// The records of a large body or batch.
const MANY: usize = 1000;

/// Returns a configuration with a bound on the instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// Returns an event of at most 540 bytes, as clients send it.
fn event() -> String {
    let example: serde_json::Value =
        serde_json::from_str(Kind::Event.example()).expect("the example is JSON");
    example.to_string()
}

/// Returns a body of one event, on a thread that has parsed before and has its buffers.
fn one(form: Form) -> (Bytes, Form) {
    let body = Bytes::from(event());
    assert_eq!(parse(&body, form), 1);
    (body, form)
}

fn parse(body: &Bytes, form: Form) -> usize {
    let key = KeyFields::from(Kind::Event.default_key());
    parse_body(black_box(body), form, &key, MANY)
        .expect("the body is valid")
        .records
        .len()
}

fn many(form: Form) -> (Bytes, Form) {
    let events = vec![event(); MANY];
    let body = match form {
        Form::Json => format!("[{}]", events.join(",")),
        Form::Lines => events.join("\n"),
    };
    (body.into(), form)
}

#[library_benchmark]
#[bench::event(args = (Form::Json), setup = one, config = at_most(10_600))]
#[bench::array_of_1000(args = (Form::Json), setup = many, config = at_most(9_500_000))]
#[bench::lines_of_1000(args = (Form::Lines), setup = many, config = at_most(10_000_000))]
fn read((body, form): (Bytes, Form)) -> usize {
    parse(&body, form)
}

fn gzipped(_: ()) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(&many(Form::Lines).0)
        .expect("a Vec takes every write");
    encoder.finish().expect("a Vec takes every write")
}

#[library_benchmark]
#[bench::gzip(args = (()), setup = gzipped, config = at_most(6_200_000))]
fn decode(body: Vec<u8>) -> usize {
    const LIMIT: usize = 8 << 20;
    let memory = MemoryBudget::new(64 << 20);
    let mut decoder =
        Decoder::new(Encoding::Gzip, &memory).expect("the budget has memory for a decoder");
    let mut rest = black_box(&body[..]);
    let mut buffer = Buffer::new(&memory, Some(LIMIT));
    while decoder
        .step(&mut rest, &mut buffer, LIMIT)
        .expect("the body is gzip")
    {}
    decoder.finish().expect("the body is complete");
    buffer.len()
}

struct Credentials {
    identity: Identity,
    last: LastToken,
    header: String,
    now: SystemTime,
    _folder: tempfile::TempDir,
}

/// Returns a directory file with one user of the customer `acme`.
fn directory() -> String {
    let cheap = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    let hash =
        PasswordHash::new(&Password::new("secret".to_owned()), cheap).expect("the cost is allowed");
    format!(
        "[[customer]]\nid = \"acme\"\nname = \"Acme\"\n\n\
         [[user]]\nemail = \"nifi@example.com\"\nname = \"NiFi\"\n\
         password = \"{}\"\ncustomers = [\"acme\"]\n",
        hash.as_str()
    )
}

/// Returns a token that its own connection, or another one, has sent before.
fn credentials(sent_before: bool) -> Credentials {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.toml");
    fs::write(&path, directory()).expect("the directory is written");
    let config = Config::default();
    let directory = Arc::new(LiveDirectory::open(&path).expect("the directory is valid"));
    let tokens = Tokens::new(&SigningKey::random(), &config.tokens);
    let now = SystemTime::now();
    let token = tokens
        .issue(directory.load().users()[0], &Session::begin(now), now)
        .expect("a token is issued")
        .access;
    let identity = Identity::new(directory, tokens, &config);
    let last = LastToken::default();
    let other = LastToken::default();
    let sender = if sent_before { &last } else { &other };
    identity
        .principal(token.as_bytes(), None, sender, now)
        .expect("the token is valid");
    let header = format!("session=0123456789; access_token={token}");
    Credentials {
        identity,
        last,
        header,
        now,
        _folder: folder,
    }
}

#[library_benchmark]
#[bench::sent_before(args = (true), setup = credentials, config = at_most(1_990))]
#[bench::sent_by_another_connection(args = (false), setup = credentials, config = at_most(6_800))]
fn authenticate(credentials: Credentials) -> Credentials {
    let token = access_token([black_box(credentials.header.as_bytes())], None)
        .expect("the cookie has a token");
    let principal = credentials
        .identity
        .principal(token, None, &credentials.last, credentials.now);
    black_box(principal).expect("the token is valid");
    credentials
}

fn user(_: ()) -> (Directory, Arc<User>) {
    let directory =
        Directory::parse(&directory(), "directory.toml".as_ref()).expect("the directory is valid");
    let user = Arc::clone(directory.users()[0]);
    (directory, user)
}

#[library_benchmark]
#[bench::customer(args = (()), setup = user, config = at_most(445))]
fn authorise((directory, user): (Directory, Arc<User>)) -> (Directory, Arc<User>) {
    authorization::may_call(&user).expect("the user may call the API");
    black_box(authorization::customer(
        &directory,
        &user,
        black_box("acme"),
    ))
    .expect("the customer is the user's");
    (directory, user)
}

struct Batch {
    writer: Box<dyn Writer>,
    records: Vec<Record>,
    _sink: FileSink,
    _folder: tempfile::TempDir,
}

/// Returns a batch of [`MANY`] records from `requests` requests.
fn batch(requests: usize) -> Batch {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sink = FileSink::open(FileConfig {
        path: folder.path().to_owned(),
        sync: false,
        rotate_size: 1 << 30,
        rotate_age: Duration::from_hours(1),
        compression: iem_sink_file::Compression::None,
    })
    .expect("the sink opens");
    let writer = sink
        .writer(&topic("events"), Waker::noop().clone())
        .expect("the writer opens");
    let first = record("acme/web-01", event());
    let contexts: Vec<_> = (0..requests)
        .map(|request| {
            Arc::new(Context {
                time: first.context.time + Duration::from_micros(request as u64),
                ..Context::clone(&first.context)
            })
        })
        .collect();
    let records = (0..MANY)
        .map(|n| Record {
            context: Arc::clone(&contexts[n % requests]),
            ..first.clone()
        })
        .collect();
    Batch {
        writer,
        records,
        _sink: sink,
        _folder: folder,
    }
}

#[library_benchmark]
#[bench::one_request(args = (1), setup = batch, config = at_most(1_080_000))]
#[bench::requests_1000(args = (MANY), setup = batch, config = at_most(1_940_000))]
fn write(mut batch: Batch) -> Batch {
    let mut settled = Settled::default();
    let deadline = Instant::now() + Duration::from_mins(1);
    let sending: Vec<_> = (0..)
        .map(DeliveryToken)
        .zip(&batch.records)
        .map(|(token, record)| Sending { token, record })
        .collect();
    batch
        .writer
        .send(black_box(&sending), deadline, &mut settled);
    assert!(
        settled
            .outcomes()
            .iter()
            .all(|(_, outcome)| *outcome == Outcome::Delivered)
    );
    batch
}

fn connection(with_keys: bool) -> Connection {
    Connection::open(&directory(), &event(), with_keys)
}

#[library_benchmark]
#[bench::requests_100(args = (false), setup = connection, config = at_most(4_060_000))]
#[bench::with_keys(args = (true), setup = connection, config = at_most(5_200_000))]
fn serve(mut connection: Connection) -> Connection {
    connection.publish(100);
    connection
}

library_benchmark_group!(
    name = stages,
    benchmarks = [read, decode, authenticate, authorise, write, serve]
);

main!(library_benchmark_groups = stages);
