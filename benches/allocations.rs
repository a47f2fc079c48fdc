//! How often a request allocates, and how much: the gateway within this process, on files without a
//! sync, under a client that allocates nothing; bare hyper beside it. Counts, not times: a busy
//! machine does not change them.

#![allow(missing_docs)]
#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
#![allow(
    dead_code,
    reason = "modules of the load bench, of which not everything is needed here"
)]

#[path = "load/role/bare_hyper.rs"]
mod bare_hyper;
#[path = "load/body.rs"]
mod body;
#[path = "load/folder.rs"]
mod folder;
#[path = "load/requests.rs"]
mod requests;
#[path = "load/users.rs"]
mod users;

use std::alloc::System;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use iem_gateway::{Gateway, config};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use body::{Body, Coding, Form};
use requests::Requests;
use users::Users;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Of one record; of many, a tenth.
const REQUESTS: usize = 1000;

fn main() {
    if !std::env::args().any(|word| word == "--bench") {
        println!("This is a benchmark: `cargo bench --bench allocations`.");
        return;
    }
    let users = Users::make(1);
    let folder = folder::new("allocations");
    let gateway = start_gateway(folder.path(), &users);
    let hyper = start_hyper();
    let mut text = format!(
        "| {:44} | {:>11} | {:>13} | {:>9} | {:>20} |\n|:{}|{}:|{}:|{}:|{}:|\n",
        "a request",
        "allocations",
        "reallocations",
        "KiB",
        "allocations a record",
        "-".repeat(45),
        "-".repeat(12),
        "-".repeat(14),
        "-".repeat(10),
        "-".repeat(21)
    );
    print!("{text}");
    let many = Body::many(Form::Lines(1000));
    for (name, address, body) in [
        ("bare hyper", hyper, Body::EVENT),
        ("gateway", gateway, Body::EVENT),
        ("gateway", gateway, Body::one(64 << 10)),
        ("gateway", gateway, Body::many(Form::Array(1000))),
        ("gateway", gateway, many),
        ("gateway", gateway, many.encoded(Coding::Gzip)),
        ("gateway", gateway, many.encoded(Coding::Zstd)),
    ] {
        let row = row(
            &format!("{name}, {body}"),
            address,
            &Requests::new(body, &users),
            body.records(),
        );
        print!("{row}");
        text.push_str(&row);
    }
    fs::create_dir_all(folder::reports()).expect("the target folder");
    fs::write(folder::reports().join("allocations.md"), text).expect("room for a table");
}

fn row(name: &str, address: SocketAddr, requests: &Requests, records: usize) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_nodelay(true).expect("an option of TCP");
    let mut scratch = Vec::new();
    let request = requests.get(0, &mut scratch);
    let count = if records == 1 {
        REQUESTS
    } else {
        REQUESTS / 10
    };
    // Until buffers have their sizes.
    (0..count / 5).for_each(|_| ask(&mut stream, request));
    let region = Region::new(ALLOCATOR);
    (0..count).for_each(|_| ask(&mut stream, request));
    let change = region.change();
    let each = |sum: usize| sum as f64 / count as f64;
    let mut row = String::new();
    writeln!(
        row,
        "| {name:44} | {:>11.1} | {:>13.1} | {:>9.1} | {:>20.2} |",
        each(change.allocations),
        each(change.reallocations),
        each(change.bytes_allocated) / 1024.0,
        each(change.allocations) / records as f64
    )
    .expect("a string takes text");
    row
}

/// Sends a request and reads its answer, which is small and comes in one piece.
fn ask(stream: &mut TcpStream, request: &[u8]) {
    let mut answer = [0; 4096];
    stream.write_all(request).expect("a server that reads");
    let count = stream.read(&mut answer).expect("an answer");
    let answer = &answer[..count];
    assert!(
        answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"}"),
        "{}",
        answer.escape_ascii()
    );
}

fn start_hyper() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    thread::spawn(move || bare_hyper::serve_on(listener, 1));
    address
}

fn start_gateway(folder: &Path, users: &Arc<Users>) -> SocketAddr {
    let path = folder.join("gateway.toml");
    let text = format!(
        "server = {{ listen = \"127.0.0.1:0\", threads = 1 }}\nadmin.listen = \"127.0.0.1:0\"\n\
         directory.path = '{}'\ntokens.key_file = '{}'\nsink.file = {{ path = \"data\", sync = false }}\n",
        users.directory().display(),
        users.key().display()
    );
    fs::write(&path, text).expect("a file in a new folder");
    let config = config::load(Some(&path), None)
        .unwrap_or_else(|error| panic!("{error}"))
        .config;
    let gateway = Gateway::open(&config).unwrap_or_else(|error| panic!("{error}"));
    let address = gateway.address();
    thread::spawn(move || gateway.run(std::future::pending()));
    address
}
