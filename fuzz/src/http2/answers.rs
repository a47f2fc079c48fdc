//! The frames that the gateway sends, to answers.

use std::collections::BTreeMap;

use iem_test_support::Answer;
use iem_test_support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, SETTINGS,
};
use loona_hpack::Decoder;

use crate::answer::parse_http1;

/// The most that a client's SETTINGS can make the gateway's table of fields; by default far less.
const TABLE_MAX: usize = 64 << 10;

/// The answers, those cut off left out. `whole` where all was read of a connection over HTTP/2.
pub fn parse(received: &[u8], whole: bool) -> Vec<Answer> {
    if received.starts_with(b"HTTP/1.") {
        assert!(!whole, "an answer in HTTP/1.1");
        return parse_http1(received, false);
    }
    let mut answers = Answers::default();
    let mut decoder = Decoder::new();
    decoder.set_max_allowed_table_size(TABLE_MAX);
    let mut rest = received;
    let mut first = true;
    while let Some((frame, behind)) = Frame::parse(rest) {
        assert!(
            !first || frame.kind == SETTINGS,
            "the first frame is {}",
            frame.kind
        );
        first = false;
        answers.add(&frame, &mut decoder);
        rest = behind;
    }
    assert!(!whole || rest.is_empty(), "a frame is cut off");
    answers
        .0
        .into_values()
        .filter(|(_, ended)| *ended)
        .map(|(answer, _)| answer)
        .collect()
}

/// By stream, each with whether it has ended.
#[derive(Default)]
struct Answers(BTreeMap<u32, (Answer, bool)>);

impl Answers {
    fn add(&mut self, frame: &Frame, decoder: &mut Decoder) {
        match frame.kind {
            HEADERS => {
                assert_eq!(
                    frame.flags & END_HEADERS,
                    END_HEADERS,
                    "a head of an answer is short"
                );
                let fields = decoder
                    .decode(&frame.payload)
                    .expect("a block that can be decoded");
                self.head(frame, fields);
            }
            CONTINUATION => panic!("a head of an answer is short"),
            DATA => {
                let (answer, ended) = self.0.get_mut(&frame.stream).expect("DATA behind HEADERS");
                assert!(!*ended, "DATA behind the end");
                answer.body.extend(&frame.payload);
                *ended = frame.flags & END_STREAM != 0;
            }
            _ => {}
        }
    }

    fn head(&mut self, frame: &Frame, fields: Vec<(Vec<u8>, Vec<u8>)>) {
        assert_eq!(frame.stream % 2, 1, "a stream of the client's");
        let text = |bytes| String::from_utf8(bytes).expect("fields are text");
        let mut answer = Answer::default();
        for (name, value) in fields {
            let (name, value) = (text(name), text(value));
            match &*name {
                ":status" => answer.status = value.parse().expect("a status"),
                _ => answer.headers.push((name, value)),
            }
        }
        let ended = frame.flags & END_STREAM != 0;
        if answer.status == 100 {
            return;
        }
        let before = self.0.insert(frame.stream, (answer, ended));
        assert!(
            before.is_none(),
            "a second answer on stream {}",
            frame.stream
        );
    }
}
