//! A client's connection over HTTP/2, as operations between lines of `%%`: whole requests as text,
//! single frames, raw bytes, pauses. A byte first says how the client behaves. Placeholders stand
//! for tokens and the like. Checked: what [`http1`](crate::http1) checks, and that a stream has one
//! answer at most.

mod answers;
mod script;

use iem_test_support::find;
use iem_test_support::memory_sink::Seen;

use crate::answer::{check as check_answer, forms_of, is_published};
use crate::gateway::{Conduct, GATEWAY};
use crate::http1::decodings;
use script::Script;

/// Checks one input.
pub fn check(input: &[u8]) {
    let Some((conduct, input)) = input.split_first() else {
        return;
    };
    let conduct = Conduct::of(*conduct);
    let mut script = Script::of(input);
    let exchange = GATEWAY.converse(std::mem::take(&mut script.steps), conduct);
    let answers = answers::parse(&exchange.received, !conduct.deaf && script.is_http2());
    for answer in &answers {
        check_answer(answer, script.heads);
    }
    if script.is_http2() {
        let published = answers.iter().filter(|answer| is_published(answer)).count();
        assert!(
            published <= exchange.records.len(),
            "{published} acknowledged, {:?}",
            exchange.records
        );
    }
    for record in &exchange.records {
        GATEWAY.check_record(record, &script.users);
        assert!(holds(&script, record), "not of the input: {record:?}");
    }
}

/// Whether a record's bytes are those of one stream's DATA frames, as they are or decoded.
fn holds(script: &Script, record: &Seen) -> bool {
    let Some(forms) = forms_of(&record.data) else {
        return true;
    };
    let has_one = |body: &[u8]| forms.iter().any(|form| find(body, form).is_some());
    let mut bodies = script.bodies.values();
    has_one(&script.raw)
        || bodies.any(|body| has_one(body) || decodings(body).any(|body| has_one(&body)))
}
