//! The account of a load: what was sent, and how it was answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latency::Latency;
use crate::client::{Answer, Failure};

/// The most bytes of a message that are kept.
const MESSAGE_BYTES_MAX: usize = 200;

/// The status of an acknowledgement.
pub const ACKNOWLEDGED: u16 = 200;

/// Counts of requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that were sent.
    pub sent: u64,
    /// Answers by status.
    pub answers: BTreeMap<u16, Answers>,
    /// Requests without an answer whose connection failed.
    pub connection_errors: u64,
    /// Requests without an answer in time.
    pub time_outs: u64,
    /// The first of the connection errors.
    pub first_error: Option<String>,
    /// Times to an answer that acknowledges.
    pub acknowledged: Latency,
    /// Times to any other answer.
    pub refused: Latency,
}

/// Answers with one status.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Their number.
    pub requests: u64,
    /// The message of the first one.
    pub message: String,
}

impl Tally {
    /// Counts an answer, which came so long after its request was due.
    pub fn count_answer(&mut self, answer: &Answer, latency: Duration) {
        let answers = self
            .answers
            .entry(answer.status)
            .or_insert_with(|| Answers {
                requests: 0,
                message: message(&answer.body),
            });
        answers.requests += 1;
        if answer.status == ACKNOWLEDGED {
            self.acknowledged.record(latency);
        } else {
            self.refused.record(latency);
        }
    }

    /// Counts a request without an answer.
    pub fn count_failure(&mut self, failure: Failure) {
        match failure {
            Failure::TimedOut => self.time_outs += 1,
            Failure::Connection(error) => {
                self.connection_errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }

    /// Returns how many requests were answered with this status.
    pub fn answered(&self, status: u16) -> u64 {
        self.answers
            .get(&status)
            .map_or(0, |answers| answers.requests)
    }

    /// Returns how many requests were answered.
    pub fn answered_in_all(&self) -> u64 {
        self.answers.values().map(|answers| answers.requests).sum()
    }
}

/// Returns the message of an answer, or the begin of its body, without control characters.
pub fn message(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let member = |name| Some(json.as_ref()?.get(name)?.as_str()?.to_owned());
    let text = member("message").or_else(|| member("detail"));
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let text = &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)];
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn answers_are_counted_by_status_with_the_first_message() {
        let mut tally = Tally::default();
        let ms = Duration::from_millis;
        tally.count_answer(&answer(503, r#"{"message":"full"}"#), ms(3));
        tally.count_answer(&answer(503, r#"{"message":"late"}"#), ms(3));
        tally.count_answer(&answer(200, ""), ms(1));
        tally.count_failure(Failure::TimedOut);
        tally.count_failure(Failure::Connection("one".into()));
        tally.count_failure(Failure::Connection("two".into()));
        assert_eq!(tally.answered(503), 2);
        assert_eq!(tally.answers[&503].message, "full");
        assert_eq!(tally.answered_in_all(), 3);
        assert_eq!((tally.time_outs, tally.connection_errors), (1, 2));
        assert_eq!(tally.first_error.as_deref(), Some("one"));
        assert_eq!(tally.acknowledged.percentiles().count, 1);
        assert_eq!(tally.refused.percentiles().count, 2);
    }

    #[test]
    fn a_message_is_one_short_line() {
        assert_eq!(message(br#"{"detail":"no"}"#), "no");
        assert_eq!(message(b"<html>\n\x1b[2J"), "<html>  [2J");
        assert_eq!(message("é".repeat(500).as_bytes()).len(), MESSAGE_BYTES_MAX);
    }
}
