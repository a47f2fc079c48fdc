//! Bodies: their chunks, what stands behind them, and those that nobody wants; and what begins
//! another protocol.

use std::time::Duration;

use super::Read::{Last, Rejected, Whole};
use super::{NEXT, Scene, event, request};
use iem_test_support::get;

/// A POST of an event in these chunks.
fn chunked(body: &str) -> String {
    event("Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn a_chunks_size_has_one_reading() {
    let size = |size: &str| chunked(&format!("{size}\r\n{{own}}\r\n0\r\n\r\n"));
    let long = |length: usize| size(&format!("28;{}", "x".repeat(length)));
    Scene::new().check(vec![
        (
            "zeros in front",
            size("000000000000000000000028"),
            Whole(200),
        ),
        ("an extension", size("28;a=b;c=\"d\""), Whole(200)),
        ("white space behind the size", size("28 \t"), Whole(200)),
        ("a long extension", long(1 << 10), Whole(200)),
        ("a very long extension", long(1 << 15), Rejected),
        ("a plus", size("+28"), Rejected),
        ("a minus", size("-28"), Rejected),
        ("0x", size("0x28"), Rejected),
        ("a space in front", size(" 28"), Rejected),
        ("a space within", size("2 8"), Rejected),
        ("an underscore", size("2_8"), Rejected),
        ("no digit", size(""), Rejected),
        ("an extension without a size", size(";a=b"), Rejected),
        ("not hexadecimal", size("28h"), Rejected),
        ("beyond 64 bits", size("10000000000000028"), Rejected),
        // All that follows is the chunk's.
        ("the most of 64 bits", size("ffffffffffffffff"), Last(503)),
        ("a size that is too small", size("27"), Rejected),
        ("a size that is too large", size("29"), Rejected),
    ]);
}

#[test]
fn a_chunks_end_has_one_reading() {
    let end = |end: &str| chunked(&format!("28\r\n{{own}}\r\n{end}"));
    Scene::new().check(vec![
        (
            "a line feed alone behind the size",
            chunked("28\n{own}\r\n0\r\n\r\n"),
            Rejected,
        ),
        (
            "a carriage return alone behind the size",
            chunked("28\r{own}\r\n0\r\n\r\n"),
            Rejected,
        ),
        (
            "a line feed in an extension",
            chunked("28;a\nb\r\n{own}\r\n0\r\n\r\n"),
            Rejected,
        ),
        (
            "a carriage return in an extension",
            chunked("28;a\rb\r\n{own}\r\n0\r\n\r\n"),
            Rejected,
        ),
        (
            "a line feed alone behind the chunk",
            chunked("28\r\n{own}\n0\r\n\r\n"),
            Rejected,
        ),
        (
            "nothing behind the chunk",
            chunked("28\r\n{own}0\r\n\r\n"),
            Rejected,
        ),
        ("several zeros at the end", end("000\r\n\r\n"), Whole(200)),
        ("no empty line at the end", end("0\r\n"), Rejected),
        // The good request's head is read as trailers, to its empty line.
        ("a line feed alone at the end", end("0\r\n\n"), Last(200)),
        ("line feeds alone at the end", end("0\n\n"), Rejected),
        ("nothing at the end", end(""), Rejected),
        (
            "an end within a chunk",
            end("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"),
            Whole(400),
        ),
    ]);
}

#[test]
fn trailers_are_ignored_or_rejected() {
    let of = |lines: &str| {
        event(
            "Transfer-Encoding: chunked\r\n",
            &format!("28\r\n{{own}}\r\n0\r\n{lines}\r\n"),
        )
    };
    Scene::new().check(vec![
        ("any", of("X: a\r\nY: b\r\n"), Whole(200)),
        ("a length", of("Content-Length: 5\r\n"), Whole(200)),
        (
            "a transfer coding",
            of("Transfer-Encoding: chunked\r\n"),
            Whole(200),
        ),
        ("a host", of("Host: other\r\n"), Whole(200)),
        (
            "a token",
            of("Cookie: access_token=no\r\nAuthorization: Bearer no\r\n"),
            Whole(200),
        ),
        ("an encoding", of("Content-Encoding: gzip\r\n"), Whole(200)),
        ("no colon", of("X\r\n"), Rejected),
        ("a NUL", of("X: a\0\r\n"), Rejected),
        ("a carriage return alone", of("X: a\rb\r\n"), Rejected),
        ("a folded line", of("X: a\r\n b\r\n"), Rejected),
        (
            "longer than a head may be",
            of(&format!("X: {}\r\n", "x".repeat(1 << 17))),
            Rejected,
        ),
        (
            "more lines than are taken",
            of(&"X: a\r\n".repeat(200)),
            Rejected,
        ),
        // The trailers end where an empty line in CR LF does: within the good request.
        (
            "an end in line feeds alone",
            of("X: a\n\n").trim_end().to_owned() + "\n\n",
            Last(200),
        ),
    ]);
}

#[test]
fn bodies_that_nobody_wants() {
    let length = |line: &str| request(line, "Content-Length: {hidden length}\r\n", "{hidden}");
    let chunk = |line: &str| {
        request(
            line,
            "Transfer-Encoding: chunked\r\n",
            "{hidden size}\r\n{hidden}\r\n0\r\n\r\n",
        )
    };
    let expect = |line: &str| {
        request(
            line,
            "Expect: 100-continue\r\nContent-Length: {hidden length}\r\n",
            "{hidden}",
        )
    };
    let mut table = Vec::new();
    for (line, status) in [
        ("GET /publish/healthcheck/ HTTP/1.1", 200),
        ("HEAD /publish/healthcheck/ HTTP/1.1", 200),
        ("PUT /publish/allevents/ HTTP/1.1", 405),
        ("DELETE /publish/allevents/ HTTP/1.1", 405),
        ("POST /nothing HTTP/1.1", 404),
        ("POST /api/v1/user/token HTTP/1.1", 401),
        ("POST /publish/allevents/ HTTP/1.1", 400),
    ] {
        table.push((line, length(line), Whole(status)));
        table.push((line, chunk(line), Whole(status)));
        // With a body that was not asked for, nobody can tell whether it comes.
        let read = if status == 400 {
            Whole(status)
        } else {
            Last(status)
        };
        table.push((line, expect(line), read));
        table.push((line, expect(line).replace("Expect: ", "Expect: x "), read));
    }
    let line = "GET /publish/healthcheck/ HTTP/1.1";
    let padded = format!("{}{{hidden}}", "x".repeat(1 << 17));
    let large = request(line, "Content-Length: 200000\r\n", &padded);
    table.push(("a large one", large, Last(200)));
    Scene::new().check(table);
}

#[test]
fn other_protocols() {
    let running = |headers: &str| request("GET /publish/healthcheck/ HTTP/1.1", headers, "");
    let post = |headers: &str| event(&format!("{headers}Content-Length: 40\r\n"), "{own}");
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    Scene::new().check(vec![
        ("HTTP/2 by upgrade", running(h2c), Whole(200)),
        ("HTTP/2 by upgrade, with a body", post(h2c), Whole(200)),
        (
            "another by upgrade",
            running("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
            Whole(200),
        ),
        (
            "a tunnel",
            request("CONNECT gateway:443 HTTP/1.1", "", ""),
            Whole(404),
        ),
        (
            "a tunnel to a path",
            request("CONNECT /publish/allevents/ HTTP/1.1", "", ""),
            Whole(405),
        ),
        (
            "a request and the end",
            running("Connection: close\r\n"),
            Last(200),
        ),
        (
            "a request of HTTP/1.0",
            request("GET /publish/healthcheck/ HTTP/1.0", "", ""),
            Last(200),
        ),
    ]);
    let scene = Scene::new();
    let mut connection = scene.gateway.connect();
    connection
        .send(get("/publish/healthcheck/").bytes())
        .answer()
        .expect(200);
    connection.send(
        [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            &scene.publish(NEXT),
        ]
        .concat(),
    );
    assert!(
        connection.ends(Duration::from_secs(10)),
        "the preface of HTTP/2 behind a request"
    );
    assert!(scene.sink.log("events").delivered.is_empty());
}
