//! Requests whose ends two readers may see in two places, as they reach a server behind a proxy: each is refused, or has
//! one reading. Behind every one stands a good request with a good token, which nobody may take for a request of its own
//! where the one before it was refused.

use std::io;
use std::time::Duration;

use iem_sink::testing::ScriptedSink;

use crate::harness::{Connection, Gateway, Home, post};

const OWN: &str = r#"{"envcustomerid":"acme","test_id":"own"}"#;
const HIDDEN: &str = r#"{"envcustomerid":"acme","test_id":"hidden"}"#;
const NEXT: &str = r#"{"envcustomerid":"acme","test_id":"next"}"#;
const OTHERS: &str = r#"{"envcustomerid":"acme","test_id":"others"}"#;

/// The length of `OWN`, as `Content-Length` and as a chunk's size say it.
const LENGTH: usize = 40;
const CHUNKED: &str = "28\r\n{own}\r\n0\r\n\r\n";

/// What a case has to be read as.
#[derive(Clone, Copy, Debug)]
enum Read {
    /// Nothing: no answer but of 4xx, and the end.
    Refused,
    /// A request with this answer; nothing behind it is read as a request, and the end.
    Last(u16),
    /// A request with this answer, and the good one behind it.
    Whole(u16),
}
use Read::{Last, Refused, Whole};

type Table = Vec<(&'static str, String, Read)>;

/// A POST of an event with these headers, and no other that says where it ends.
fn event(headers: &str, body: &str) -> String {
    request("POST /publish/allevents/ HTTP/1.1", headers, body)
}

fn request(line: &str, headers: &str, body: &str) -> String {
    format!("{line}\r\nHost: gateway\r\nCookie: access_token={{token}}\r\n{headers}\r\n{body}")
}

struct Scene {
    sink: ScriptedSink,
    gateway: Gateway,
    token: String,
}

impl Scene {
    fn new() -> Self {
        let sink = ScriptedSink::new();
        let home = Home::new().set("server.body_timeout", "1s").set("server.header_timeout", "5s");
        let gateway = home.start_with(&sink);
        let token = gateway.token("alice");
        Self { sink, gateway, token }
    }

    fn publish(&self, record: &str) -> Vec<u8> {
        post("/publish/allevents/", record).cookie(&self.token).bytes()
    }

    /// Sends each case and the good request behind it, at once and byte by byte.
    fn check(&self, table: Table) {
        let mut faults = Vec::new();
        for (name, text, read) in table {
            let hidden = String::from_utf8(self.publish(HIDDEN)).expect("a text");
            let text =
                text.replace("{hidden}", &hidden).replace("{hidden length}", &hidden.len().to_string());
            let text = text.replace("{hidden size}", &format!("{:x}", hidden.len()));
            let text = text.replace("{token}", &self.token).replace("{own}", OWN);
            let bytes = [text.as_bytes(), &self.publish(NEXT)].concat();
            for piece in [bytes.len(), 1] {
                let seen = self.exchange(&bytes, piece);
                if let Some(fault) = fault(read, text.contains(OWN), &seen) {
                    faults.push(format!("{name}, {piece} bytes at once: {read:?}, {fault}: {seen:?}"));
                }
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    fn exchange(&self, bytes: &[u8], piece: usize) -> Seen {
        let before = self.sink.log("events").delivered.len();
        let mut connection = self.gateway.connect();
        connection.set_patience(Duration::from_secs(10));
        for piece in bytes.chunks(piece) {
            // What is refused early need not be sent.
            if connection.try_send(piece).is_err() {
                break;
            }
        }
        let mut statuses = Vec::new();
        if bytes.starts_with(b"HEAD ") {
            statuses.push(connection.answer_to_head().status);
        }
        let (ended, open) = read(&mut connection, &mut statuses);
        self.gateway.publish("/publish/allevents/", OTHERS).expect(200);
        let published = self.sink.log("events").delivered.split_off(before);
        let published =
            published.into_iter().map(|record| String::from_utf8_lossy(&record.data).into_owned());
        Seen { statuses, ended, open, published: published.filter(|record| record != OTHERS).collect() }
    }
}

/// Reads all answers; whether the connection then ended, or serves another request.
fn read(connection: &mut Connection, statuses: &mut Vec<u16>) -> (bool, bool) {
    loop {
        // The answer to NEXT is the last; a connection that stays open has no end to wait for.
        if statuses.len() >= 2 && statuses.last() == Some(&200) {
            return (false, connection.is_usable());
        }
        match connection.try_answer() {
            Ok(Some(answer)) => statuses.push(answer.status),
            Ok(None) => return (true, false),
            Err(error) => return (error.kind() != io::ErrorKind::WouldBlock, false),
        }
    }
}

#[derive(Debug)]
struct Seen {
    statuses: Vec<u16>,
    ended: bool,
    open: bool,
    published: Vec<String>,
}

fn fault(read: Read, has_record: bool, seen: &Seen) -> Option<&'static str> {
    let refused =
        |statuses: &[u16]| statuses.iter().all(|status| (400..500).contains(status) && *status != 408);
    let published: &[&str] = match read {
        Last(200) if has_record => &[OWN],
        Whole(200) if has_record => &[OWN, NEXT],
        Whole(_) => &[NEXT],
        Last(_) | Refused => &[],
    };
    let statuses = match (read, &*seen.statuses) {
        (Refused, statuses) => refused(statuses),
        (Last(status), [first, rest @ ..]) => *first == status && refused(rest),
        (Whole(status), [first, next]) => *first == status && *next == 200,
        _ => false,
    };
    let end = if matches!(read, Whole(_)) { seen.open } else { seen.ended };
    if seen.published != published {
        return Some("published otherwise");
    }
    if !statuses {
        return Some("answered otherwise");
    }
    (!end).then_some("the connection does otherwise")
}

#[test]
fn lengths() {
    assert_eq!(OWN.len(), LENGTH);
    let of = |value: &str| event(&format!("Content-Length: {value}\r\n"), "{own}");
    Scene::new().check(vec![
        ("as it should be", of("40"), Whole(200)),
        ("white space around it", of("\t 40 \t"), Whole(200)),
        ("zeros in front", of("00040"), Whole(200)),
        ("the same twice", of("40\r\nContent-Length: 40"), Whole(200)),
        ("two that differ", of("40\r\nContent-Length: 41"), Refused),
        ("two that differ, the longer first", of("400\r\nContent-Length: 40"), Refused),
        ("two in one", of("40, 40"), Refused),
        ("a plus", of("+40"), Refused),
        ("a minus", of("-40"), Refused),
        ("hexadecimal", of("0x28"), Refused),
        ("a space within", of("4 0"), Refused),
        ("a fraction", of("40.0"), Refused),
        ("a parameter", of("40;"), Refused),
        ("quotes", of("\"40\""), Refused),
        ("empty", of(""), Refused),
        ("beyond 64 bits", of("18446744073709551656"), Refused),
        ("the most of 64 bits", of("18446744073709551615"), Refused),
        ("more than is taken", of("9223372036854775807"), Last(413)),
        ("a space before the colon", event("Content-Length : 40\r\n", "{own}"), Refused),
        ("a name that is not quite it", event("Content_Length: 40\r\n", "{own}"), Refused),
        ("none", event("", ""), Whole(400)),
    ]);
}

#[test]
fn a_length_beside_a_transfer_coding() {
    let own = |headers: &str| event(headers, CHUNKED);
    let hides = |headers: &str| event(headers, "0\r\n\r\n{hidden}");
    Scene::new().check(vec![
        ("the length first", own("Content-Length: 40\r\nTransfer-Encoding: chunked\r\n"), Last(200)),
        ("the coding first", own("Transfer-Encoding: chunked\r\nContent-Length: 40\r\n"), Last(200)),
        ("a length of 0", own("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), Last(200)),
        (
            "a body to who reads the length, a request to who reads chunks",
            hides("Content-Length: {hidden length}\r\nTransfer-Encoding: chunked\r\n"),
            Last(400),
        ),
        (
            "the same, the coding first",
            hides("Transfer-Encoding: chunked\r\nContent-Length: {hidden length}\r\n"),
            Last(400),
        ),
        ("a bad length first", own("Content-Length: x\r\nTransfer-Encoding: chunked\r\n"), Refused),
        ("a bad length behind", own("Transfer-Encoding: chunked\r\nContent-Length: x\r\n"), Last(200)),
        (
            "a coding hidden behind a line feed",
            own("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 40\r\n"),
            Last(200),
        ),
        (
            "a length hidden behind a line feed",
            event("X: a\nContent-Length: 4\r\nContent-Length: 40\r\n", "{own}"),
            Refused,
        ),
    ]);
}

#[test]
fn transfer_codings() {
    let of = |value: &str| event(&format!("Transfer-Encoding: {value}\r\n"), CHUNKED);
    let line = |line: &str| event(&format!("{line}\r\n"), CHUNKED);
    Scene::new().check(vec![
        ("as it should be", of("chunked"), Whole(200)),
        ("in upper case", line("TRANSFER-ENCODING: CHUNKED"), Whole(200)),
        ("white space around it", of("\t chunked \t"), Whole(200)),
        ("no space", line("Transfer-Encoding:chunked"), Whole(200)),
        ("another behind it", of("chunked, identity"), Refused),
        ("another before it", of("identity, chunked"), Refused),
        ("gzip before it", of("gzip, chunked"), Refused),
        ("twice in one", of("chunked, chunked"), Refused),
        ("a comma before it", of(", chunked"), Refused),
        ("a comma behind it", of("chunked,"), Refused),
        ("another alone", of("identity"), Refused),
        ("a letter before it", of("xchunked"), Refused),
        ("a letter behind it", of("chunkedx"), Refused),
        ("a parameter", of("chunked;q=1"), Refused),
        ("quotes", of("\"chunked\""), Refused),
        ("empty", of(""), Refused),
        ("a vertical tab", of("\x0bchunked"), Refused),
        ("a NUL", of("chunked\0"), Refused),
        ("twice", of("chunked\r\nTransfer-Encoding: chunked"), Refused),
        ("twice, another behind it", of("chunked\r\nTransfer-Encoding: identity"), Refused),
        ("twice, another before it", of("identity\r\nTransfer-Encoding: chunked"), Refused),
        ("a space before the colon", line("Transfer-Encoding : chunked"), Refused),
        ("a tab before the colon", line("Transfer-Encoding\t: chunked"), Refused),
        ("a space in the name", line("Transfer Encoding: chunked"), Refused),
        ("a name that is not quite it", line("Transfer_Encoding: chunked"), Refused),
        ("on a folded line", line("Transfer-Encoding:\r\n chunked"), Refused),
        ("folded into another", line("X: a\r\n Transfer-Encoding: chunked"), Refused),
        (
            "with HTTP/1.0",
            request("POST /publish/allevents/ HTTP/1.0", "Transfer-Encoding: chunked\r\n", CHUNKED),
            Refused,
        ),
        (
            "where no body is wanted",
            request(
                "GET /publish/healthcheck/ HTTP/1.1",
                "Transfer-Encoding: identity, chunked\r\n",
                "1\r\nx\r\n0\r\n\r\n",
            ),
            Refused,
        ),
    ]);
}

#[test]
fn lines_names_and_values() {
    let of = |line: &str| event(&format!("{line}\r\nContent-Length: 40\r\n"), "{own}");
    Scene::new().check(vec![
        // RFC 9112, section 2.2: the one reading that is in use, where it is not refused.
        ("lines that end in a line feed alone", of("X: a").replace("\r\n", "\n"), Whole(200)),
        ("one line that does", of("X: a\nY: b"), Whole(200)),
        ("a head that does", event("X: a\n\n", ""), Whole(400)),
        ("a carriage return alone", of("X: a\rY: b"), Refused),
        ("a carriage return before the line's end", of("X: a\r"), Refused),
        (
            "a carriage return in the request line",
            request("POST /publish/allevents/ HTTP/1.1\r", "Content-Length: 40\r\n", "{own}"),
            Refused,
        ),
        ("a folded line", of("X: a\r\n b"), Refused),
        ("a line folded by a tab", of("X: a\r\n\tb"), Refused),
        (
            "a folded first line",
            request("POST /publish/allevents/ HTTP/1.1\r\n X: a", "Content-Length: 40\r\n", "{own}"),
            Refused,
        ),
        ("a NUL in a value", of("X: a\0b"), Refused),
        ("a NUL in a name", of("X\0: a"), Refused),
        ("a control byte in a value", of("X: a\x01b"), Refused),
        ("a control byte in a name", of("X\x01: a"), Refused),
        ("a form feed in a value", of("X: a\x0cb"), Refused),
        ("DEL in a value", of("X: a\x7fb"), Refused),
        ("a tab in a value", of("X: a\tb"), Whole(200)),
        ("bytes beyond ASCII in a value", of("X: \u{e4}\u{20ac}"), Whole(200)),
        ("bytes beyond ASCII in a name", of("\u{e4}: a"), Refused),
        ("a space in a name", of("X Y: a"), Refused),
        ("a space before the colon", of("X : a"), Refused),
        ("a bracket in a name", of("X[: a"), Refused),
        ("no name", of(": a"), Refused),
        ("no colon", of("X"), Refused),
        ("more lines than are taken", of(&"X: a\r\n".repeat(200)), Refused),
        ("what is named as belonging to the connection", of("Connection: Content-Length"), Whole(200)),
    ]);
}

#[test]
fn chunks() {
    let of = |body: &str| event("Transfer-Encoding: chunked\r\n", body);
    let size = |size: &str| of(&format!("{size}\r\n{{own}}\r\n0\r\n\r\n"));
    let end = |end: &str| of(&format!("28\r\n{{own}}\r\n{end}"));
    let long = |length: usize| size(&format!("28;{}", "x".repeat(length)));
    Scene::new().check(vec![
        ("zeros in front", size("000000000000000000000028"), Whole(200)),
        ("an extension", size("28;a=b;c=\"d\""), Whole(200)),
        ("white space behind the size", size("28 \t"), Whole(200)),
        ("a long extension", long(1 << 10), Whole(200)),
        ("a very long extension", long(1 << 15), Refused),
        ("a plus", size("+28"), Refused),
        ("a minus", size("-28"), Refused),
        ("0x", size("0x28"), Refused),
        ("a space in front", size(" 28"), Refused),
        ("a space within", size("2 8"), Refused),
        ("an underscore", size("2_8"), Refused),
        ("no digit", size(""), Refused),
        ("an extension without a size", size(";a=b"), Refused),
        ("not hexadecimal", size("28h"), Refused),
        ("beyond 64 bits", size("10000000000000028"), Refused),
        // All that follows is the chunk's.
        ("the most of 64 bits", size("ffffffffffffffff"), Last(503)),
        ("a line feed alone behind the size", of("28\n{own}\r\n0\r\n\r\n"), Refused),
        ("a carriage return alone behind the size", of("28\r{own}\r\n0\r\n\r\n"), Refused),
        ("a line feed in an extension", of("28;a\nb\r\n{own}\r\n0\r\n\r\n"), Refused),
        ("a carriage return in an extension", of("28;a\rb\r\n{own}\r\n0\r\n\r\n"), Refused),
        ("a size that is too small", size("27"), Refused),
        ("a size that is too large", size("29"), Refused),
        ("a line feed alone behind the chunk", of("28\r\n{own}\n0\r\n\r\n"), Refused),
        ("nothing behind the chunk", of("28\r\n{own}0\r\n\r\n"), Refused),
        ("several zeros at the end", end("000\r\n\r\n"), Whole(200)),
        ("no empty line at the end", end("0\r\n"), Refused),
        // The good request's head is read as trailers, to its empty line.
        ("a line feed alone at the end", end("0\r\n\n"), Last(200)),
        ("line feeds alone at the end", end("0\n\n"), Refused),
        ("nothing at the end", end(""), Refused),
        ("an end within a chunk", end("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), Whole(400)),
    ]);
}

#[test]
fn trailers() {
    let of =
        |lines: &str| event("Transfer-Encoding: chunked\r\n", &format!("28\r\n{{own}}\r\n0\r\n{lines}\r\n"));
    Scene::new().check(vec![
        ("any", of("X: a\r\nY: b\r\n"), Whole(200)),
        ("a length", of("Content-Length: 5\r\n"), Whole(200)),
        ("a transfer coding", of("Transfer-Encoding: chunked\r\n"), Whole(200)),
        ("a host", of("Host: other\r\n"), Whole(200)),
        ("a token", of("Cookie: access_token=no\r\nAuthorization: Bearer no\r\n"), Whole(200)),
        ("an encoding", of("Content-Encoding: gzip\r\n"), Whole(200)),
        ("no colon", of("X\r\n"), Refused),
        ("a NUL", of("X: a\0\r\n"), Refused),
        ("a carriage return alone", of("X: a\rb\r\n"), Refused),
        ("a folded line", of("X: a\r\n b\r\n"), Refused),
        ("longer than a head may be", of(&format!("X: {}\r\n", "x".repeat(1 << 17))), Refused),
        ("more lines than are taken", of(&"X: a\r\n".repeat(200)), Refused),
        // The trailers end where an empty line in CR LF does: within the good request.
        ("an end in line feeds alone", of("X: a\n\n").trim_end().to_owned() + "\n\n", Last(200)),
    ]);
}

#[test]
fn request_lines() {
    let line = |line: &str| request(line, "Content-Length: 40\r\n", "{own}");
    Scene::new().check(vec![
        (
            "empty lines in front",
            format!("\r\n\r\n{}", line("POST /publish/allevents/ HTTP/1.1")),
            Whole(200),
        ),
        ("a fragment", line("POST /publish/allevents/#more HTTP/1.1"), Whole(200)),
        ("a query", line("POST /publish/allevents/?a=b HTTP/1.1"), Whole(200)),
        ("two slashes", line("POST //publish/allevents/ HTTP/1.1"), Whole(404)),
        ("dots", line("POST /publish/../publish/allevents/ HTTP/1.1"), Whole(404)),
        ("a method in lower case", line("post /publish/allevents/ HTTP/1.1"), Whole(405)),
        ("a space in front", line(" POST /publish/allevents/ HTTP/1.1"), Refused),
        ("two spaces before the target", line("POST  /publish/allevents/ HTTP/1.1"), Refused),
        ("two spaces behind the target", line("POST /publish/allevents/  HTTP/1.1"), Refused),
        ("a space at the end", line("POST /publish/allevents/ HTTP/1.1 "), Refused),
        ("a space in the target", line("POST /publish/all events/ HTTP/1.1"), Refused),
        ("tabs", line("POST\t/publish/allevents/\tHTTP/1.1"), Refused),
        ("a NUL in the target", line("POST /publish/allevents/\0 HTTP/1.1"), Refused),
        ("a control byte in the target", line("POST /publish/allevents/\x7f HTTP/1.1"), Refused),
        ("no slash", line("POST publish/allevents/ HTTP/1.1"), Refused),
        ("no target", line("POST HTTP/1.1"), Refused),
        ("no version", line("POST /publish/allevents/"), Refused),
        ("a version in lower case", line("POST /publish/allevents/ http/1.1"), Refused),
        ("a version of one more digit", line("POST /publish/allevents/ HTTP/1.10"), Refused),
        ("a version that is not served", line("POST /publish/allevents/ HTTP/2.0"), Refused),
        ("a version to come", line("POST /publish/allevents/ HTTP/1.2"), Refused),
        ("a colon in the method", line("POST: /publish/allevents/ HTTP/1.1"), Refused),
        (
            "a very long method",
            line(&format!("{} /publish/allevents/ HTTP/1.1", "X".repeat(1 << 17))),
            Refused,
        ),
        ("a very long target", line(&format!("POST /{} HTTP/1.1", "x".repeat(1 << 17))), Refused),
    ]);
}

#[test]
fn hosts() {
    let of = |hosts: &str| {
        let target = |line: &str| {
            format!("{line}\r\n{hosts}Cookie: access_token={{token}}\r\nContent-Length: 40\r\n\r\n{{own}}")
        };
        [
            target("POST /publish/allevents/ HTTP/1.1"),
            target("POST http://gateway/publish/allevents/ HTTP/1.1"),
        ]
    };
    let [one, absolute] = of("Host: gateway\r\n");
    let [_, other] = of("Host: other\r\n");
    let [empty, _] = of("Host:\r\n");
    let [none, absolute_none] = of("");
    let [two, absolute_two] = of("Host: gateway\r\nHost: other\r\n");
    let [same, _] = of("Host: gateway\r\nHost: gateway\r\n");
    let old = none.replace("HTTP/1.1", "HTTP/1.0");
    Scene::new().check(vec![
        ("one", one, Whole(200)),
        ("one, and a whole target", absolute, Whole(200)),
        // RFC 9112, section 3.2.2: the target's counts, and none is looked at here.
        ("another than the target's", other, Whole(200)),
        ("an empty one", empty, Whole(200)),
        ("none", none, Refused),
        ("none, and a whole target", absolute_none, Refused),
        ("none, with HTTP/1.0", old, Last(200)),
        ("two", two, Refused),
        ("two, and a whole target", absolute_two, Refused),
        ("the same twice", same, Refused),
    ]);
}

#[test]
fn bodies_that_nobody_wants() {
    let length = |line: &str| request(line, "Content-Length: {hidden length}\r\n", "{hidden}");
    let chunk = |line: &str| {
        request(line, "Transfer-Encoding: chunked\r\n", "{hidden size}\r\n{hidden}\r\n0\r\n\r\n")
    };
    let expect =
        |line: &str| request(line, "Expect: 100-continue\r\nContent-Length: {hidden length}\r\n", "{hidden}");
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
        let read = if status == 400 { Whole(status) } else { Last(status) };
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
    let get = |headers: &str| request("GET /publish/healthcheck/ HTTP/1.1", headers, "");
    let post = |headers: &str| event(&format!("{headers}Content-Length: 40\r\n"), "{own}");
    let h2c =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    Scene::new().check(vec![
        ("HTTP/2 by upgrade", get(h2c), Whole(200)),
        ("HTTP/2 by upgrade, with a body", post(h2c), Whole(200)),
        ("another by upgrade", get("Connection: Upgrade\r\nUpgrade: websocket\r\n"), Whole(200)),
        ("a tunnel", request("CONNECT gateway:443 HTTP/1.1", "", ""), Whole(404)),
        ("a tunnel to a path", request("CONNECT /publish/allevents/ HTTP/1.1", "", ""), Whole(405)),
        ("the preface of HTTP/2 behind a request", get("") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Last(200)),
        ("a request and the end", get("Connection: close\r\n"), Last(200)),
        ("a request of HTTP/1.0", request("GET /publish/healthcheck/ HTTP/1.0", "", ""), Last(200)),
    ]);
}
