//! A benchmark that counts the allocations and the bytes of a request. The gateway runs in this
//! process, on files without a sync, under a client that allocates nothing. Bare hyper runs beside
//! it. A busy machine does not change the counts.

#![allow(missing_docs)]
#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
#![allow(
    dead_code,
    reason = "modules of the load bench, which are used here in part"
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

/// Measured requests of one record. Of many records, a tenth of them is measured.
const REQUESTS: usize = 1000;

fn main() {
    if !std::env::args().any(|word| word == "--bench") {
        println!("This is a benchmark. Run it with `cargo bench --bench allocations`.");
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
    fs::create_dir_all(folder::reports()).expect("the folder of reports is created");
    fs::write(folder::reports().join("allocations.md"), text).expect("the table is written");
}

/// Measures a body and returns its row of the table.
fn row(name: &str, address: SocketAddr, requests: &Requests, records: usize) -> String {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream
        .set_nodelay(true)
        .expect("the socket takes TCP_NODELAY");
    let mut scratch = Vec::new();
    let request = requests.get(0, &mut scratch);
    let count = if records == 1 {
        REQUESTS
    } else {
        REQUESTS / 10
    };
    // First until all buffers have grown.
    for _ in 0..count / 5 {
        exchange(&mut stream, request);
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..count {
        exchange(&mut stream, request);
    }
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
    .expect("a string takes every write");
    row
}

/// Sends a request and reads its answer, which is small and arrives in one piece.
fn exchange(stream: &mut TcpStream, request: &[u8]) {
    let mut answer = [0; 4096];
    stream.write_all(request).expect("the server reads");
    let count = stream.read(&mut answer).expect("the server answers");
    let answer = &answer[..count];
    assert!(
        answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"}"),
        "{}",
        answer.escape_ascii()
    );
}

fn start_hyper() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    thread::spawn(move || bare_hyper::serve_on(listener, 1));
    address
}

fn start_gateway(folder: &Path, users: &Arc<Users>) -> SocketAddr {
    let path = folder.join("gateway.toml");
    let text = format!(
        "server = {{ listen = \"127.0.0.1:0\", threads = 1 }}\nadmin.listen = \"127.0.0.1:0\"\n\
         directory.path = '{}'\ntokens.key_file = '{}'\n\
         sink.file = {{ path = \"data\", sync = false }}\n",
        users.directory().display(),
        users.key().display()
    );
    fs::write(&path, text).expect("the configuration is written");
    let config = config::load(Some(&path), None)
        .unwrap_or_else(|error| panic!("{error}"))
        .config;
    let gateway = Gateway::open(&config).unwrap_or_else(|error| panic!("{error}"));
    let address = gateway.address();
    thread::spawn(move || gateway.run(std::future::pending::<std::future::Pending<()>>()));
    address
}
