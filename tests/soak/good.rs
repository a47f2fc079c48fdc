//! Clients that publish as they should, without pause: single records, arrays, lines, compressed,
//! over both versions of HTTP. A refusal makes them wait a moment.

use std::thread;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::{Client, Door, Reply, name};
use super::site::Site;
use super::tally::Tally;
use iem_test_support::{encoded, post};

/// The text that makes records as large as those of the field.
const PADDING: usize = 400;
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(15);
const PATHS: [&str; 4] = [
    "/publish/allevents/",
    "/publish/metrics/",
    "/publish/entity/",
    "/publish/service/",
];

/// One record of a customer that has no quota.
pub(super) fn record(id: u64, client: usize) -> String {
    let customer = if id.is_multiple_of(10) {
        "1001"
    } else {
        "acme"
    };
    let padding = "x".repeat(PADDING);
    format!(
        r#"{{"envcustomerid":"{customer}","splitby":"{client}","entityid":"{client}","test_id":"{id}","padding":"{padding}"}}"#
    )
}

/// `count` records as one body, and their ids.
pub(super) fn records(tally: &Tally, count: usize, client: usize) -> (Vec<String>, Vec<u64>) {
    let ids: Vec<u64> = (0..count).map(|_| tally.next_id()).collect();
    (ids.iter().map(|id| record(*id, client)).collect(), ids)
}

/// How a client writes its bodies.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Single,
    Array(usize),
    Lines(usize),
    Compressed(&'static str, usize),
}

/// Publishes over HTTP/1.1 until the soak is over.
pub(super) fn publish(site: &Site, shape: Shape, client: usize) {
    let mut connection: Option<Client> = None;
    while site.tally.goes_on() {
        let Some(open) = connection.as_mut() else {
            connection = site.door.open().ok();
            continue;
        };
        let (request, ids) = request(&site.tally, &site.token, shape, client);
        let reply = open.exchange(&request);
        site.tally.settle(&ids, reply.as_ref());
        note(&site.tally, reply.as_ref());
        if reply.as_ref().is_none_or(|reply| reply.closes) {
            connection = None;
        }
        if reply.is_none_or(|reply| reply.status != 200) {
            thread::sleep(PAUSE);
        }
    }
}

fn note(tally: &Tally, reply: Option<&Reply>) {
    let unconfirmed =
        reply.is_some_and(|reply| reply.status == 503 && reply.says("not confirmed in time"));
    tally.hit_if(super::limits::DEADLINE, unconfirmed);
}

fn request(tally: &Tally, token: &str, shape: Shape, client: usize) -> (Vec<u8>, Vec<u64>) {
    let path = PATHS[client % PATHS.len()];
    let count = match shape {
        Shape::Single => 1,
        Shape::Array(count) | Shape::Lines(count) | Shape::Compressed(_, count) => count,
    };
    let (texts, ids) = records(tally, count, client);
    let array = || format!("[{}]", texts.join(","));
    let request = match shape {
        Shape::Single => post(path, texts[0].clone()),
        Shape::Array(_) => post(path, array()),
        Shape::Lines(_) => {
            post(path, texts.join("\n")).header("Content-Type", "application/x-ndjson")
        }
        Shape::Compressed(way, _) => {
            let name = if way == "zlib" { "deflate" } else { way };
            post(path, encoded(way, array().as_bytes())).header("Content-Encoding", name)
        }
    };
    (request.cookie(token).bytes(), ids)
}

/// Publishes over HTTP/2, `at_once` requests at a time, until the soak is over.
pub(super) fn publish_over_http2(site: &Site, at_once: usize, client: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    while site.tally.goes_on() {
        // A connection that fails has settled what was under way; the next one begins anew.
        let _ = runtime.block_on(async {
            tokio::time::timeout(4 * PATIENCE, connection(site, at_once, client)).await
        });
        thread::sleep(PAUSE);
    }
}

async fn connection(
    site: &Site,
    at_once: usize,
    client: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let Door { address, tls } = &site.door2;
    let stream = TcpStream::connect(address).await?;
    match tls {
        None => {
            let (sender, connection) = h2::client::handshake(stream).await?;
            let driver = tokio::spawn(connection);
            let rounds = rounds(site, sender, at_once, client).await;
            driver.abort();
            rounds
        }
        Some(config) => {
            let stream = TlsConnector::from(config.clone())
                .connect(name(), stream)
                .await?;
            let (sender, connection) = h2::client::handshake(stream).await?;
            let driver = tokio::spawn(connection);
            let rounds = rounds(site, sender, at_once, client).await;
            driver.abort();
            rounds
        }
    }
}

/// Less than the time that a connection is given in all.
const ROUNDS: usize = 500;

async fn rounds(
    site: &Site,
    sender: h2::client::SendRequest<Bytes>,
    at_once: usize,
    client: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..ROUNDS {
        let exchanges = (0..at_once).map(|_| async {
            let (texts, ids) = records(&site.tally, 1, client);
            let exchange = exchange(sender.clone(), &site.token, texts[0].clone());
            let reply = tokio::time::timeout(PATIENCE, exchange)
                .await
                .ok()
                .and_then(Result::ok);
            site.tally.settle(&ids, reply.as_ref());
            reply.is_some()
        });
        let answered = futures_util::future::join_all(exchanges).await;
        if !site.tally.goes_on() || answered.contains(&false) {
            break;
        }
    }
    Ok(())
}

async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    token: &str,
    body: String,
) -> Result<Reply, Box<dyn std::error::Error>> {
    let request = Request::post("http://gateway/publish/healthcheck/")
        .header("cookie", format!("access_token={token}"))
        .body(())?;
    let (response, mut stream) = sender.ready().await?.send_request(request, false)?;
    // What is refused early need not be sent.
    let _ = stream.send_data(Bytes::from(body), true);
    let (head, mut incoming) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        body.extend_from_slice(&chunk?);
    }
    Ok(Reply {
        status: head.status.as_u16(),
        body,
        closes: false,
    })
}
