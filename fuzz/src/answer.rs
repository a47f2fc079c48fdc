//! Answers of the gateway, and what holds of each.

use serde_json::{Map, Value};

use crate::expansion::find;
use crate::gateway::GATEWAY;

/// Every status of the contract, and those with which hyper answers what is no HTTP.
const STATUSES: [u16; 13] = [
    200, 400, 401, 403, 404, 405, 413, 414, 415, 429, 431, 503, 100,
];
/// What hyper answers by itself, without a body.
const BARE: [u16; 3] = [400, 414, 431];

#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// Whether it says that records have been taken.
    pub fn is_published(&self) -> bool {
        let taken = [
            &br#"{"message":"Data published successfully"}"#[..],
            br#"{"message":"Success"}"#,
        ];
        self.status == 200 && taken.contains(&&*self.body)
    }

    /// What holds of any answer; one to HEAD has no body, whatever it says.
    pub fn check(&self, to_head: bool) {
        assert!(STATUSES.contains(&self.status), "{self:?}");
        for name in ["set-cookie", "location"] {
            assert!(self.header(name).is_none(), "{self:?}");
        }
        if self.status == 100 || (self.body.is_empty() && BARE.contains(&self.status)) {
            return;
        }
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        match self.status {
            401 => assert!(self.header("www-authenticate").is_some(), "{self:?}"),
            405 => assert!(self.header("allow").is_some(), "{self:?}"),
            429 | 503 => {
                let wait = self
                    .header("retry-after")
                    .and_then(|wait| wait.parse::<u64>().ok());
                assert!(wait.is_some_and(|wait| wait > 0), "{self:?}");
            }
            _ => {}
        }
        if to_head && self.body.is_empty() {
            return;
        }
        let object = serde_json::from_slice::<Map<String, Value>>(&self.body);
        let object = object.unwrap_or_else(|error| panic!("{error}: {self:?}"));
        if object.contains_key("access_token") || object.contains_key("data") {
            return;
        }
        assert!(
            object
                .keys()
                .all(|key| ["message", "detail", "record", "failed", "rejected"].contains(&&**key))
        );
        assert!(
            object.contains_key("message") != object.contains_key("detail"),
            "{self:?}"
        );
        // No answer holds what the request was sent with.
        for token in GATEWAY.secrets.all() {
            assert!(
                find(&self.body, token.as_bytes()).is_none(),
                "a token in {self:?}"
            );
        }
    }
}

/// Answers of HTTP/1.1, one after the other. A rest that is cut off is left out; there is none
/// where all was read.
pub fn parse_http1(mut received: &[u8], whole: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !received.is_empty() {
        let Some((answer, rest)) = parse_one(received, whole) else {
            assert!(
                !whole,
                "an answer is cut off: {:?}",
                String::from_utf8_lossy(received)
            );
            break;
        };
        answers.push(answer);
        received = rest;
    }
    answers
}

fn parse_one(received: &[u8], whole: bool) -> Option<(Answer, &[u8])> {
    let end = find(received, b"\r\n\r\n")?;
    let head = str::from_utf8(&received[..end]).expect("a head is text");
    let rest = &received[end + 4..];
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = ["HTTP/1.1 ", "HTTP/1.0 "]
        .iter()
        .find_map(|version| status_line.strip_prefix(version));
    let status = status.and_then(|status| status.get(..3)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("a status line: {status_line:?}"));
    let headers = lines.map(|line| {
        let (name, value) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("a header: {line:?}"));
        (name.to_ascii_lowercase(), value.to_owned())
    });
    let mut answer = Answer {
        status,
        headers: headers.collect(),
        body: Vec::new(),
    };
    if status == 100 {
        return Some((answer, rest));
    }
    let length = answer
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok());
    let length = length.unwrap_or_else(|| panic!("no length: {answer:?}"));
    // Every body is an object. An answer to HEAD says a length and has none.
    let is_last = rest.is_empty() && whole && answer.may_be_to_head();
    if length > 0 && !rest.is_empty() && rest[0] != b'{' || is_last {
        return Some((answer, rest));
    }
    let (body, rest) = rest.split_at_checked(length)?;
    answer.body = body.to_vec();
    Some((answer, rest))
}

impl Answer {
    fn may_be_to_head(&self) -> bool {
        self.header("content-length") != Some("0")
    }
}
