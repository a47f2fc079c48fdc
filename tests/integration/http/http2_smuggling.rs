//! HTTP/2 that would be two requests, or another one, to a reader that turns it into HTTP/1.1; and
//! frames against the rules, where RFC 9113 says what they cost. Each case ends with another client
//! that is served.

mod frames;
mod heads;

use iem_sink::testing::ScriptedSink;
use iem_test_support::frames::{DATA, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM};
use iem_test_support::{Frames, Gateway, Home};

const OWN: &str = r#"{"envcustomerid":"acme","test_id":"own"}"#;
const OTHERS: &str = r#"{"envcustomerid":"acme","test_id":"others"}"#;

type Field<'a> = (&'a str, &'a str);

struct Scene {
    sink: ScriptedSink,
    gateway: Gateway,
    cookie: String,
}

impl Scene {
    fn new() -> Self {
        let sink = ScriptedSink::new();
        let gateway = Home::new()
            .set("server.body_timeout", "1s")
            .start_with(&sink);
        let cookie = format!("access_token={}", gateway.token("alice"));
        Self {
            sink,
            gateway,
            cookie,
        }
    }

    /// The head of a good POST of an event.
    fn good(&self) -> Vec<Field<'_>> {
        vec![
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/publish/allevents/"),
            (":authority", "gateway"),
            ("cookie", &self.cookie),
        ]
    }

    /// The same, with more fields.
    fn with<'a>(&'a self, more: &[Field<'a>]) -> Vec<Field<'a>> {
        [&*self.good(), more].concat()
    }

    /// The same, with a pseudo field that says something else; none where it says nothing.
    fn but<'a>(&'a self, name: &str, value: Option<&'a str>) -> Vec<Field<'a>> {
        let mut fields = self.good();
        match value {
            Some(value) => {
                fields
                    .iter_mut()
                    .filter(|field| field.0 == name)
                    .for_each(|field| field.1 = value);
            }
            None => fields.retain(|field| field.0 != name),
        }
        fields
    }

    /// Sends a head and a body as one request, and says whether it was answered 200. Fails the test
    /// if anything but the body was published, or if another request is not served.
    fn is_published(&self, name: &str, fields: &[Field<'_>], body: &str) -> bool {
        let before = self.sink.log("events").delivered.len();
        let mut frames = Frames::open(self.gateway.address, &[]);
        let _ = frames.send(&Frame::headers(1, fields, body.is_empty()));
        if !body.is_empty() {
            let _ = frames.send(&Frame::new(DATA, END_STREAM, 1, body));
        }
        let is_good = is_answered_well(&mut frames);
        self.gateway
            .publish("/publish/allevents/", OTHERS)
            .expect(200);
        let published = self.sink.log("events").delivered.split_off(before);
        let own: Vec<_> = published
            .iter()
            .filter(|record| record.data != OTHERS)
            .collect();
        assert!(
            own.iter().all(|record| record.data == OWN),
            "{name}: {own:?}"
        );
        assert_eq!(
            own.len(),
            usize::from(is_good),
            "{name}: published as it was answered"
        );
        is_good
    }
}

/// Whether stream 1 is answered 200: by the first field of its head, which stands in the static
/// table (RFC 7541, appendix A). Otherwise it is refused, reset, or the end of the connection.
fn is_answered_well(frames: &mut Frames) -> bool {
    while let Ok(frame) = frames.receive() {
        match frame.kind {
            HEADERS if frame.stream == 1 => return frame.payload.first() == Some(&0x88),
            RST_STREAM | GOAWAY => return false,
            _ => {}
        }
    }
    false
}
