//! Requests whose ends two readers may see in two places, as they reach a server behind a proxy:
//! each is refused, or has one reading. Behind every one stands a good request with a good token,
//! which nobody may take for a request of its own where the one before it was refused.

mod bodies;
mod heads;
mod lines;

use std::io;
use std::time::Duration;

use iem_sink::testing::ScriptedSink;

use iem_test_support::{Answer, Connection, Gateway, Home, post};

const OWN: &str = r#"{"envcustomerid":"acme","test_id":"own"}"#;
const HIDDEN: &str = r#"{"envcustomerid":"acme","test_id":"hidden"}"#;
const NEXT: &str = r#"{"envcustomerid":"acme","test_id":"next"}"#;
const OTHERS: &str = r#"{"envcustomerid":"acme","test_id":"others"}"#;

/// The length of `OWN`, as `Content-Length` and as a chunk's size say it.
const LENGTH: usize = 40;
const CHUNKED: &str = "28\r\n{own}\r\n0\r\n\r\n";

/// The reading that a case must have.
#[derive(Clone, Copy, Debug)]
enum Read {
    /// Nothing: no answer but of 4xx, and the end.
    Rejected,
    /// A request with this answer; nothing behind it is read as a request, and the end.
    Last(u16),
    /// A request with this answer, and the good one behind it.
    Whole(u16),
}
use Read::{Last, Rejected, Whole};

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
        let home = Home::new()
            .set("server.body_timeout", "1s")
            .set("server.header_timeout", "5s");
        let gateway = home.start_with(&sink);
        let token = gateway.token("alice");
        Self {
            sink,
            gateway,
            token,
        }
    }

    fn publish(&self, record: &str) -> Vec<u8> {
        post("/publish/allevents/", record)
            .cookie(&self.token)
            .bytes()
    }

    /// Sends each case and the good request behind it, at once and byte by byte.
    fn check(&self, table: Table) {
        let mut faults = Vec::new();
        for (name, text, read) in table {
            let hidden = String::from_utf8(self.publish(HIDDEN)).expect("a text");
            let text = text
                .replace("{hidden}", &hidden)
                .replace("{hidden length}", &hidden.len().to_string());
            let text = text.replace("{hidden size}", &format!("{:x}", hidden.len()));
            let text = text.replace("{token}", &self.token).replace("{own}", OWN);
            let bytes = [text.as_bytes(), &self.publish(NEXT)].concat();
            for piece in [bytes.len(), 1] {
                let seen = self.exchange(&bytes, piece);
                if let Some(fault) = fault(read, text.contains(OWN), &seen) {
                    faults.push(format!(
                        "{name}, {piece} bytes at once: {read:?}, {fault}: {seen:?}"
                    ));
                }
            }
        }
        assert!(
            faults.is_empty(),
            "{} faults:\n{}",
            faults.len(),
            faults.join("\n")
        );
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
        let is_head = bytes.starts_with(b"HEAD ");
        let (answers, end) = read(&mut connection, is_head);
        self.gateway
            .publish("/publish/allevents/", OTHERS)
            .expect(200);
        let published = self.sink.log("events").delivered.split_off(before);
        let published = published
            .into_iter()
            .map(|record| String::from_utf8_lossy(&record.data).into_owned());
        Seen {
            answers,
            end,
            published: published.filter(|record| record != OTHERS).collect(),
        }
    }
}

/// Reads all answers; whether the connection then serves another request, has ended, or does
/// neither.
fn read(connection: &mut Connection, is_head: bool) -> (Vec<Answer>, End) {
    let mut answers = Vec::new();
    if is_head {
        answers.push(connection.answer_to_head());
    }
    loop {
        // The answer to NEXT is the last; a connection that stays open has no end to wait for.
        if answers.len() >= 2 && answers.last().is_some_and(|answer| answer.status == 200) {
            return (
                answers,
                if connection.is_usable() {
                    End::Open
                } else {
                    End::Neither
                },
            );
        }
        match connection.try_answer() {
            Ok(Some(answer)) => answers.push(answer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return (answers, End::Neither);
            }
            Ok(None) | Err(_) => return (answers, End::Ended),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Ended,
    Neither,
}

#[derive(Debug)]
struct Seen {
    answers: Vec<Answer>,
    end: End,
    published: Vec<String>,
}

fn fault(read: Read, has_record: bool, seen: &Seen) -> Option<&'static str> {
    let refused = |statuses: &[u16]| {
        statuses
            .iter()
            .all(|status| (400..500).contains(status) && *status != 408)
    };
    let published: &[&str] = match read {
        Last(200) if has_record => &[OWN],
        Whole(200) if has_record => &[OWN, NEXT],
        Whole(_) => &[NEXT],
        Last(_) | Rejected => &[],
    };
    let statuses: Vec<_> = seen.answers.iter().map(|answer| answer.status).collect();
    let as_answered = match (read, &*statuses) {
        (Rejected, statuses) => refused(statuses),
        (Last(status), [first, rest @ ..]) => *first == status && refused(rest),
        (Whole(status), [first, next]) => *first == status && *next == 200,
        _ => false,
    };
    let end = if matches!(read, Whole(_)) {
        End::Open
    } else {
        End::Ended
    };
    // A client that is not told keeps the connection for its next request; one of HTTP/1.0 does so
    // only if told to.
    let is_told = seen
        .answers
        .last()
        .is_none_or(|last| says_close(last) == (end == End::Ended));
    [
        (seen.published == published, "published otherwise"),
        (as_answered, "answered otherwise"),
        (seen.end == end, "the connection does otherwise"),
        (is_told, "the last answer says otherwise"),
    ]
    .into_iter()
    .find_map(|(holds, what)| (!holds).then_some(what))
}

/// Whether an answer tells the client that the connection ends.
fn says_close(answer: &Answer) -> bool {
    answer.version == "HTTP/1.0" || answer.header("connection") == Some("close")
}
