//! The rules for answers of the gateway, and a reader of several answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iem_test_support::{Answer, find};
use serde_json::{Map, Value};

use crate::gateway::GATEWAY;

/// Every status of the contract, and those with which hyper answers what is no HTTP.
const STATUSES: [u16; 15] = [
    200, 304, 400, 401, 403, 404, 405, 413, 414, 415, 422, 429, 431, 503, 100,
];
/// Members by which the bodies of a 200 are known that are no messages: tokens, the metadata of
/// OAuth 2, the description of the API.
const OF_OTHERS: [&str; 4] = ["access_token", "data", "issuer", "openapi"];
/// The status of a client that has the description of the API, and those that hyper answers by
/// itself: they have no body.
const BARE: [u16; 4] = [304, 400, 414, 431];

/// Whether the answer says that the request's records have been taken, and not those of another one
/// with its idempotency key.
pub fn is_published(answer: &Answer) -> bool {
    let taken = [
        &br#"{"message":"Data published successfully"}"#[..],
        br#"{"message":"Success"}"#,
    ];
    let is_replayed = answer.header("idempotent-replayed").is_some();
    answer.status == 200 && !is_replayed && taken.contains(&&*answer.body)
}

/// Returns the forms in which the input may hold a record's bytes: as they are, or encoded as those
/// of an event of `CloudEvents`. `None` for an alert's, which the gateway has written.
pub fn forms_of(data: &[u8]) -> Option<[Vec<u8>; 2]> {
    if find(data, br#""manageragent":"alertmanager""#).is_some() {
        return None;
    }
    Some([data.to_vec(), STANDARD.encode(data).into_bytes()])
}

/// Checks the rules for every answer; one to HEAD may say a length and have no body.
pub fn check(answer: &Answer, to_head: bool) {
    assert!(STATUSES.contains(&answer.status), "{answer:?}");
    for name in ["set-cookie", "location"] {
        assert!(answer.header(name).is_none(), "{answer:?}");
    }
    if answer.status == 100 || (answer.body.is_empty() && BARE.contains(&answer.status)) {
        return;
    }
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{answer:?}"
    );
    match answer.status {
        401 => assert!(answer.header("www-authenticate").is_some(), "{answer:?}"),
        405 => assert!(answer.header("allow").is_some(), "{answer:?}"),
        429 | 503 => {
            let wait = answer
                .header("retry-after")
                .and_then(|wait| wait.parse::<u64>().ok());
            assert!(wait.is_some_and(|wait| wait > 0), "{answer:?}");
        }
        _ => {}
    }
    if to_head && answer.body.is_empty() {
        return;
    }
    let object = serde_json::from_slice::<Map<String, Value>>(&answer.body);
    let object = object.unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    let is_of_other = OF_OTHERS.iter().any(|name| object.contains_key(*name));
    // A revocation is answered by nothing.
    if answer.status == 200 && (is_of_other || object.is_empty()) {
        return;
    }
    let is_of_oauth = object.contains_key("error");
    let expected = if is_of_oauth {
        &["error", "error_description"][..]
    } else {
        &["message", "detail", "record", "failed", "rejected"]
    };
    assert!(
        object.keys().all(|key| expected.contains(&&**key)),
        "{answer:?}"
    );
    let texts = ["message", "detail", "error_description"];
    let texts = texts.iter().filter(|name| object.contains_key(**name));
    assert_eq!(texts.count(), 1, "{answer:?}");
    // No answer holds what the request was sent with.
    for token in GATEWAY.secrets.all() {
        assert!(
            find(&answer.body, token.as_bytes()).is_none(),
            "a token in {answer:?}"
        );
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
    let mut answer = Answer::parse_head(&received[..end]);
    let rest = &received[end + 4..];
    // Neither has a body, nor a length.
    if [100, 304].contains(&answer.status) {
        return Some((answer, rest));
    }
    let length = answer
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok());
    let length = length.unwrap_or_else(|| panic!("no length: {answer:?}"));
    // Every body is an object. An answer to HEAD says a length and has none.
    let is_last = rest.is_empty() && whole && length > 0;
    if length > 0 && !rest.is_empty() && rest[0] != b'{' || is_last {
        return Some((answer, rest));
    }
    let (body, rest) = rest.split_at_checked(length)?;
    answer.body = body.to_vec();
    Some((answer, rest))
}
