//! Clients that run into the limits, each again and again until the soak is over. Each notes what
//! it was told.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use iem_gateway::identity::directory::edit::{Editor, Missing, edit};
use rustix::process::{Pid, Signal, kill_process};

use super::client::{Client, Reply};
use super::good::{record, records};
use super::limits;
use super::site::{BODY_BYTES_MAX, CONNECTIONS_MAX, QUEUE_RECORDS, Site};
use iem_test_support::Frames;
use iem_test_support::frames::{DATA, Frame, HEADERS, RST_STREAM};
use iem_test_support::{email, encoded, post};

const EVENTS: &str = "/publish/allevents/";
const PAUSE: Duration = Duration::from_millis(20);

/// Does it until the soak is over.
pub(super) fn again(site: &Site, pause: Duration, mut act: impl FnMut(&Site)) {
    while site.tally.goes_on() {
        act(site);
        let until = Instant::now() + pause;
        while site.tally.goes_on() && Instant::now() < until {
            thread::sleep(PAUSE.min(pause));
        }
    }
}

/// One request on a connection of its own. Its records, if it has any, are the caller's to settle.
fn send(site: &Site, request: &[u8]) -> Option<Reply> {
    site.door.open().ok()?.exchange(request)
}

/// Sends what must be refused with this status, or for want of room.
fn rejected(site: &Site, request: &[u8], status: u16, limit: &'static str) {
    let reply = send(site, request);
    site.tally.answered(reply.as_ref());
    site.tally
        .hit_if(limit, reply.is_some_and(|reply| reply.status == status));
}

/// Bodies and heads that are too large in one way or another.
pub(super) fn oversized(site: &Site) {
    let post = |body: Vec<u8>| post(EVENTS, body).cookie(&site.token);
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    rejected(
        site,
        &post(large.clone()).bytes(),
        413,
        limits::BODY_DECLARED,
    );

    let request = iem_test_support::post(EVENTS, "").cookie(&site.token);
    let head = request.head("Transfer-Encoding: chunked") + &format!("{:x}\r\n", large.len());
    let chunked = [head.as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    rejected(site, &chunked, 413, limits::BODY_SENT);

    let bomb = encoded("gzip", &vec![b' '; 8 << 20]);
    rejected(
        site,
        &post(bomb).header("Content-Encoding", "gzip").bytes(),
        413,
        limits::BODY_DECODED,
    );

    let (texts, _) = records(&site.tally, QUEUE_RECORDS + 1, 0);
    rejected(
        site,
        &post(format!("[{}]", texts.join(",")).into_bytes()).bytes(),
        413,
        limits::RECORDS,
    );

    let wide = wide(record(site.tally.next_id(), 0).as_bytes());
    rejected(
        site,
        &post(wide).header("Content-Encoding", "zstd").bytes(),
        400,
        limits::WINDOW,
    );

    let members = encoded("gzip", b"").repeat(4_200);
    rejected(
        site,
        &post(members).header("Content-Encoding", "gzip").bytes(),
        400,
        limits::MEMBERS,
    );

    let long = post(Vec::new())
        .header("X-Long", &"x".repeat(100_000))
        .bytes();
    rejected(site, &long, 431, limits::HEAD_SIZE);
    let many = (0..120).fold(post(Vec::new()), |request, number| {
        request.header(&format!("X-{number}"), "x")
    });
    rejected(site, &many.bytes(), 431, limits::HEAD_COUNT);
}

/// As zstd with a window of 16 MiB.
fn wide(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder
        .window_log(24)
        .and_then(|()| encoder.include_contentsize(false))
        .expect("a window");
    std::io::Write::write_all(&mut encoder, plain)
        .and_then(|()| encoder.finish())
        .expect("memory takes all")
}

fn begin_of_body(site: &Site, path: &str, length: usize) -> String {
    let request = iem_test_support::post(path, "").cookie(&site.token);
    request.head(&format!("Content-Length: {length}")) + "{"
}

/// Heads and bodies that do not come.
pub(super) fn slow(site: &Site) {
    let open = || site.door.open().ok();
    let (mut heads, mut bodies): (Vec<Client>, Vec<Client>) = (
        (0..3).filter_map(|_| open()).collect(),
        (0..3).filter_map(|_| open()).collect(),
    );
    for head in &mut heads {
        let _ = head.send(b"POST /publish/allevents/ HTTP/1.1\r\nHost: gate");
    }
    for body in &mut bodies {
        let _ = body.send(begin_of_body(site, EVENTS, 1000).as_bytes());
    }
    for head in &mut heads {
        // Closed; one that came beyond the bound on connections was told so.
        let reply = head.reply();
        site.tally.hit_if(limits::HEAD_TIME, reply.is_none());
    }
    for body in &mut bodies {
        let reply = body.reply();
        site.tally.answered(reply.as_ref());
        let late = reply.is_some_and(|reply| reply.says("did not arrive in time"));
        site.tally.hit_if(limits::BODY_TIME, late);
    }
}

/// Holds more bodies than there is memory for, at a topic whose queue is never full.
pub(super) fn hog(site: &Site) {
    let mut held: Vec<Client> = (0..16).filter_map(|_| site.door.open().ok()).collect();
    let part = vec![b' '; BODY_BYTES_MAX * 3 / 4];
    for body in &mut held {
        let begin = begin_of_body(
            site,
            "/gbp/push/acme?integrationid=servicenow-1",
            BODY_BYTES_MAX,
        );
        let _ = body.send(begin.as_bytes()).and_then(|()| body.send(&part));
    }
    for body in &mut held {
        let reply = body.reply();
        site.tally.answered(reply.as_ref());
        let full = reply.is_some_and(|reply| reply.says("The gateway is full"));
        site.tally.hit_if(limits::MEMORY, full);
    }
}

/// More connections than are served. The longest idle ones make room.
pub(super) fn crowd(site: &Site) {
    let mut crowd: Vec<Client> = (0..CONNECTIONS_MAX + 8)
        .filter_map(|_| site.door.open_silently().ok())
        .collect();
    thread::sleep(Duration::from_millis(100));
    if let Some(client) = crowd.pop() {
        client.reset();
    }
}

/// Over TLS a connection that says nothing is a handshake that does not come.
pub(super) fn silent(site: &Site) {
    if let Ok(mut client) = site.door.open_silently() {
        let _ = client.reply();
    }
}

/// Goes away in the middle of a request, and after one.
pub(super) fn resets(site: &Site) {
    if let Ok(mut client) = site.door.open() {
        let _ = client.send(begin_of_body(site, EVENTS, 5_000).as_bytes());
        client.reset();
    }
    if let Ok(mut client) = site.door.open() {
        let id = site.tally.next_id();
        site.tally.settle(&[id], None);
        let _ = client.send(&post(EVENTS, record(id, 1)).cookie(&site.token).bytes());
        client.reset();
    }
}

/// Guesses passwords, from an address of its own.
pub(super) fn guess(site: &Site) {
    let request = post("/api/v1/user/token", "").basic(email("alice"), "guess");
    let mut client = site.door.open_from(Ipv4Addr::new(127, 0, 0, 9)).ok();
    let reply = client
        .as_mut()
        .and_then(|client| client.exchange(&request.bytes()));
    site.tally.answered(reply.as_ref());
}

/// Sends more than its customer's quota.
pub(super) fn flood(site: &Site) {
    let Ok(mut client) = site.door.open() else {
        return;
    };
    while site.tally.goes_on() {
        let ids: Vec<u64> = (0..20).map(|_| site.tally.next_id()).collect();
        let lines: Vec<_> = ids
            .iter()
            .map(|id| format!(r#"{{"envcustomer_id":"globex","test_id":"{id}"}}"#))
            .collect();
        let body = lines.join("\n");
        let request =
            post("/publish/healthcheck/", body).header("Content-Type", "application/x-ndjson");
        let reply = client.exchange(&request.cookie(&site.bounded_token).bytes());
        site.tally.settle(&ids, reply.as_ref());
        if reply.is_none_or(|reply| reply.closes) {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Changes the directory, and has it read at once every other time.
pub(super) fn reload_directory(site: &Site) {
    let added = edit(&site.directory(), Missing::Refuse, |document| {
        document.add_customer("passing", "Passing")
    });
    hang_up(site);
    thread::sleep(Duration::from_millis(200));
    let removed = edit(&site.directory(), Missing::Refuse, |document| {
        document.remove_customer("passing")
    });
    assert!(added.is_ok() && removed.is_ok(), "{added:?} {removed:?}");
}

/// Another certificate of the same authority.
pub(super) fn reload_certificate(site: &Site) {
    if let Some(authority) = &site.authority {
        site.gateway
            .home
            .write_identity("tls", &authority.gateway());
        hang_up(site);
    }
}

fn hang_up(site: &Site) {
    let pid = i32::try_from(site.pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process");
    kill_process(pid, Signal::HUP).expect("the program takes a signal");
}

/// Requests over HTTP/2 that are taken back, and more of them than a connection may have.
pub(super) fn abuse_http2(site: &Site) {
    const GET: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/publish/healthcheck/"),
        (":authority", "gateway"),
    ];
    let Some(mut frames) = Frames::try_open(site.door.address) else {
        return;
    };
    let cancelled: Vec<u8> = (0..500)
        .flat_map(|number| Frame::cancelled_request(2 * number + 1, &GET))
        .collect();
    let _ = frames.send_bytes(&cancelled);
    site.tally
        .hit_if(limits::RESETS, frames.codes().contains(&11));

    let Some(mut frames) = Frames::try_open(site.door.address) else {
        return;
    };
    let cookie = format!("access_token={}", site.token);
    let open = |number: u32| {
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", EVENTS),
            ("cookie", &cookie),
        ];
        let stream = 2 * number + 1;
        [
            Frame::headers(stream, &head, false).bytes(),
            Frame::new(DATA, 0, stream, *b"{").bytes(),
        ]
        .concat()
    };
    let _ = frames.send_bytes(&(0..40).flat_map(open).collect::<Vec<u8>>());
    // Refused streams are reset with REFUSED_STREAM; the others are answered as bodies that do not
    // come.
    let mut refused = 0;
    while let Ok(frame) = frames.receive() {
        refused += usize::from(frame.kind == RST_STREAM && frame.error_code() == 7);
        if frame.kind == HEADERS {
            break;
        }
    }
    site.tally.hit_if(limits::STREAMS, refused > 0);
}
