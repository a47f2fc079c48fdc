//! HTTP/2 that would be two requests, or another one, to a reader that turns it into HTTP/1.1; and
//! frames against the rules, where RFC 9113 says what they cost. Each case ends with another client
//! that is served.

use iem_sink::testing::ScriptedSink;

use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM,
    SETTINGS, header_block,
};
use crate::harness::{Gateway, Home};

const OWN: &str = r#"{"envcustomerid":"acme","test_id":"own"}"#;
const HIDDEN: &str = r#"{"envcustomerid":"acme","test_id":"hidden"}"#;
const OTHERS: &str = r#"{"envcustomerid":"acme","test_id":"others"}"#;

const PRIORITY: u8 = 2;
const PUSH_PROMISE: u8 = 5;
const WINDOW_UPDATE: u8 = 8;
const PADDED: u8 = 8;

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
    while let Ok(frame) = frames.next() {
        match frame.kind {
            HEADERS if frame.stream == 1 => return frame.payload.first() == Some(&0x88),
            RST_STREAM | GOAWAY => return false,
            _ => {}
        }
    }
    false
}

#[test]
fn heads_and_lengths() {
    let scene = Scene::new();
    let twice = |name: &'static str, value: &'static str| {
        let mut fields = scene.good();
        fields.insert(1, (name, value));
        fields
    };
    let late = |field: Field<'static>| scene.with(&[("x", "a"), field]);
    let length = |value: &'static str| scene.with(&[("content-length", value)]);
    let field = |name: &'static str, value: &'static str| scene.with(&[(name, value)]);
    let mut faults = Vec::new();
    for (name, fields, expected) in [
        ("as it should be", scene.good(), true),
        ("its length", length("40"), true),
        ("trailers are welcome", field("te", "trailers"), true),
        ("a length that is too large", length("41"), false),
        ("a length that is too small", length("39"), false),
        ("a length of 0", length("0"), false),
        ("a length with a plus", length("+40"), false),
        ("no number for a length", length("x"), false),
        ("two lengths in one", length("40, 41"), false),
        (
            "two lengths",
            scene.with(&[("content-length", "40"), ("content-length", "41")]),
            false,
        ),
        (
            "a transfer coding",
            field("transfer-encoding", "chunked"),
            false,
        ),
        ("a connection", field("connection", "close"), false),
        ("a kept connection", field("keep-alive", "timeout=5"), false),
        (
            "a proxy's connection",
            field("proxy-connection", "close"),
            false,
        ),
        ("an upgrade", field("upgrade", "h2c"), false),
        ("a coding that is welcome", field("te", "gzip"), false),
        ("a name in upper case", field("X-Upper", "a"), false),
        (
            "a token's name in upper case",
            field("Cookie", "access_token=no"),
            false,
        ),
        ("a host of its own", field("host", "other"), true),
        ("a method twice", twice(":method", "GET"), false),
        ("a path twice", twice(":path", "/"), false),
        ("a scheme twice", twice(":scheme", "https"), false),
        ("an authority twice", twice(":authority", "other"), false),
        ("a method behind a field", late((":method", "GET")), false),
        ("a path behind a field", late((":path", "/")), false),
        ("an unknown pseudo field", twice(":unknown", "a"), false),
        ("an answer's pseudo field", twice(":status", "200"), false),
        (
            "a protocol without CONNECT",
            twice(":protocol", "websocket"),
            false,
        ),
        ("no method", scene.but(":method", None), false),
        ("no scheme", scene.but(":scheme", None), false),
        ("no path", scene.but(":path", None), false),
        ("no authority", scene.but(":authority", None), true),
        ("an empty path", scene.but(":path", Some("")), false),
        (
            "a path without a slash",
            scene.but(":path", Some("publish/allevents/")),
            false,
        ),
        (
            "a path of a whole target",
            scene.but(":path", Some("http://gateway/publish/allevents/")),
            false,
        ),
        ("an asterisk", scene.but(":path", Some("*")), false),
        (
            "a path with a space",
            scene.but(":path", Some("/publish/allevents/ HTTP/1.1")),
            false,
        ),
        (
            "a path with a line",
            scene.but(":path", Some("/publish/allevents/\r\nx: a")),
            false,
        ),
        (
            "a method with a line",
            scene.but(":method", Some("POST / HTTP/1.1\r\nx: a\r\n\r\nPOST")),
            false,
        ),
        (
            "a method in lower case",
            scene.but(":method", Some("post")),
            false,
        ),
        ("a tunnel", scene.but(":method", Some("CONNECT")), false),
        (
            "an authority with a line",
            scene.but(":authority", Some("gateway\r\nx: a")),
            false,
        ),
        (
            "a scheme with a line",
            scene.but(":scheme", Some("http\r\nx: a")),
            false,
        ),
        (
            "CR LF in a value",
            field("x", "a\r\ntransfer-encoding: chunked"),
            false,
        ),
        (
            "LF in a value",
            field("x", "a\ntransfer-encoding: chunked"),
            false,
        ),
        ("CR in a value", field("x", "a\rb"), false),
        ("NUL in a value", field("x", "a\0b"), false),
        ("CR LF in a name", field("x: a\r\ny", "a"), false),
        ("a colon in a name", field("x:y", "a"), false),
        ("a space in a name", field("x y", "a"), false),
        ("no name", field("", "a"), false),
    ] {
        if scene.is_published(name, &fields, OWN) != expected {
            faults.push(format!("{name}: published {}, not {expected}", !expected));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(!scene.is_published("a length and no body", &length("40"), ""));
}

#[test]
fn frames_against_the_rules_end_the_connection() {
    let scene = Scene::new();
    let good = scene.good();
    let head = Frame::headers(1, &good, false).bytes();
    let unended = Frame::new(HEADERS, 0, 1, header_block(&good)).bytes();
    let body = Frame::new(DATA, END_STREAM, 1, OWN).bytes();
    let update =
        |stream, size: u32| Frame::new(WINDOW_UPDATE, 0, stream, size.to_be_bytes()).bytes();
    let setting = |id: u16, value: u32| {
        Frame::new(
            SETTINGS,
            0,
            0,
            [&id.to_be_bytes()[..], &value.to_be_bytes()].concat(),
        )
        .bytes()
    };
    let ping = Frame::new(PING, 0, 0, [0; 8]);
    let mut faults = Vec::new();
    for (name, bytes) in [
        ("a body on no stream", Frame::new(DATA, 0, 0, OWN).bytes()),
        ("a body of a stream that is not open", body.clone()),
        (
            "a body behind the body",
            [
                &*head,
                &body,
                &Frame::new(DATA, END_STREAM, 1, HIDDEN).bytes(),
            ]
            .concat(),
        ),
        (
            "a head on no stream",
            Frame::headers(0, &good, true).bytes(),
        ),
        (
            "a head on a stream of the gateway's",
            Frame::headers(2, &good, true).bytes(),
        ),
        (
            "a head on a stream of the past",
            [
                Frame::headers(5, &good, false).bytes(),
                Frame::headers(3, &good, true).bytes(),
            ]
            .concat(),
        ),
        ("a body within a head", [&*unended, &body].concat()),
        ("a ping within a head", [&*unended, &ping.bytes()].concat()),
        (
            "a head of another stream within a head",
            [
                &*unended,
                &Frame::new(CONTINUATION, END_HEADERS, 3, []).bytes(),
            ]
            .concat(),
        ),
        (
            "more of a head that has ended",
            [
                &*head,
                &Frame::new(CONTINUATION, END_HEADERS, 1, header_block(&[("x", "a")])).bytes(),
            ]
            .concat(),
        ),
        (
            "more padding than there is",
            [
                &*head,
                &Frame::new(DATA, PADDED | END_STREAM, 1, [200, b'{']).bytes(),
            ]
            .concat(),
        ),
        (
            "a field that is in no table",
            Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, [0xff, 0xff, 0x7f]).bytes(),
        ),
        (
            "a table larger than was agreed on",
            Frame::new(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                [0x3f, 0xff, 0xff, 0x7f],
            )
            .bytes(),
        ),
        (
            "a frame larger than was agreed on",
            [&*head, &Frame::new(DATA, 0, 1, vec![b' '; 20_000]).bytes()].concat(),
        ),
        (
            "settings of 5 bytes",
            Frame::new(SETTINGS, 0, 0, [0; 5]).bytes(),
        ),
        (
            "settings of a stream",
            Frame::new(SETTINGS, 0, 1, []).bytes(),
        ),
        (
            "an acknowledgement with settings",
            Frame::new(SETTINGS, 1, 0, [0; 6]).bytes(),
        ),
        ("a window beyond the most", setting(4, 1 << 31)),
        ("frames below the least", setting(5, 100)),
        ("a push that is neither on nor off", setting(2, 2)),
        ("a ping of 7 bytes", Frame::new(PING, 0, 0, [0; 7]).bytes()),
        ("a ping of a stream", Frame::new(PING, 0, 1, [0; 8]).bytes()),
        (
            "a push",
            Frame::new(PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 2]).bytes(),
        ),
        ("a window that grows by nothing", update(0, 0)),
        (
            "a window that grows too large",
            update(0, (1 << 31) - 1).repeat(2),
        ),
        (
            "a window of a stream that grows by nothing",
            [&*head, &update(1, 0)].concat(),
        ),
        (
            "a window of 3 bytes",
            Frame::new(WINDOW_UPDATE, 0, 0, [0; 3]).bytes(),
        ),
        ("a window of a stream that is not open", update(1, 1)),
        (
            "a reset of 3 bytes",
            Frame::new(RST_STREAM, 0, 1, [0; 3]).bytes(),
        ),
        (
            "a reset of no stream",
            Frame::new(RST_STREAM, 0, 0, [0; 4]).bytes(),
        ),
        (
            "a reset of a stream that is not open",
            Frame::new(RST_STREAM, 0, 1, [0; 4]).bytes(),
        ),
        (
            "a priority of no stream",
            Frame::new(PRIORITY, 0, 0, [0; 5]).bytes(),
        ),
    ] {
        let mut frames = Frames::open(scene.gateway.address, &[]);
        let _ = frames.send_bytes(&bytes);
        let ended = frames.end();
        if ended.last().is_none_or(|code| *code == 0) {
            faults.push(format!("{name}: {ended:?}"));
        }
        scene
            .gateway
            .publish("/publish/allevents/", OTHERS)
            .expect(200);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The first of two bodies is a whole request where it is read before the second one has come.
    let delivered = scene.sink.log("events").delivered;
    assert!(
        delivered
            .iter()
            .all(|record| record.data == OTHERS || record.data == OWN),
        "{delivered:?}"
    );
}

#[test]
fn frames_against_the_rules_of_their_stream_end_it_alone() {
    let scene = Scene::new();
    let head = Frame::headers(1, &scene.good(), false).bytes();
    let mut get = scene.but(":method", Some("GET"));
    get[2] = (":path", "/publish/healthcheck/");
    for (name, frame) in [
        (
            "a window that grows too large",
            Frame::new(WINDOW_UPDATE, 0, 1, ((1_u32 << 31) - 1).to_be_bytes()),
        ),
        (
            "fields behind the body that do not end it",
            Frame::headers(1, &[("x", "a")], false),
        ),
    ] {
        let mut frames = Frames::open(scene.gateway.address, &[]);
        frames
            .send_bytes(&[&*head, &frame.bytes()].concat())
            .expect("the gateway reads");
        let reset = frames.find(RST_STREAM);
        assert!(
            reset.stream == 1 && reset.error_code() != 0,
            "{name}: {reset:?}"
        );
        frames
            .send(&Frame::headers(3, &get, true))
            .expect("the gateway reads");
        assert_eq!(frames.find(HEADERS).stream, 3, "{name}");
    }
    assert!(scene.sink.log("events").delivered.is_empty());
}

#[test]
fn what_is_to_be_passed_over_is() {
    let scene = Scene::new();
    let mut frames = Frames::open(scene.gateway.address, &[(0xff, 1)]);
    // A frame of no known kind, flags that mean nothing, a priority, padding, and trailers,
    // whatever they say.
    frames
        .send(&Frame::new(0xee, 0xff, 0, "anything"))
        .expect("the gateway reads");
    frames
        .send(&Frame::new(PRIORITY, 0, 1, [0, 0, 0, 0, 15]))
        .expect("the gateway reads");
    let padded = [&[3][..], &header_block(&scene.good()), &[0; 3]].concat();
    frames
        .send(&Frame::new(HEADERS, END_HEADERS | PADDED | 0xc0, 1, padded))
        .expect("the gateway reads");
    let padded = [&[5][..], OWN.as_bytes(), &[0; 5]].concat();
    frames
        .send(&Frame::new(DATA, PADDED, 1, padded))
        .expect("the gateway reads");
    frames
        .send(&Frame::headers(
            1,
            &[(":path", "/"), ("content-length", "5")],
            true,
        ))
        .expect("the gateway reads");
    assert!(is_answered_well(&mut frames));
    let delivered = scene.sink.log("events").delivered;
    assert!(
        delivered.len() == 1 && delivered[0].data == OWN,
        "{delivered:?}"
    );
}
