//! Frames against the rules: those that end the connection, those that end their stream alone, and
//! those that are passed over.

use iem_test_support::Frames;
use iem_test_support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PADDED, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, header_block,
};

use super::{OTHERS, OWN, Scene, is_answered_well};

const HIDDEN: &str = r#"{"envcustomerid":"acme","test_id":"hidden"}"#;
const PUSH_PROMISE: u8 = 5;

/// Sends each case, with its name and its bytes, and expects the connection to end with an error
/// while another client is served.
#[track_caller]
fn check(scene: &Scene, cases: &[(&str, Vec<u8>)]) {
    let mut faults = Vec::new();
    for (name, bytes) in cases {
        let mut frames = Frames::open(scene.gateway.address, &[]);
        let _ = frames.send_bytes(bytes);
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

fn setting(id: u16, value: u32) -> Vec<u8> {
    let payload = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    Frame::new(SETTINGS, 0, 0, payload).bytes()
}

fn update(stream: u32, size: u32) -> Vec<u8> {
    Frame::new(WINDOW_UPDATE, 0, stream, size.to_be_bytes()).bytes()
}

#[test]
fn bodies_and_heads_out_of_place_end_the_connection() {
    let scene = Scene::new();
    let good = scene.good();
    let head = Frame::headers(1, &good, false).bytes();
    let unended = Frame::new(HEADERS, 0, 1, header_block(&good)).bytes();
    let body = Frame::new(DATA, END_STREAM, 1, OWN).bytes();
    let ping = Frame::new(PING, 0, 0, [0; 8]);
    check(
        &scene,
        &[
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
        ],
    );
}

#[test]
fn padding_tables_and_frames_beyond_their_size_end_the_connection() {
    let scene = Scene::new();
    let good = scene.good();
    let head = Frame::headers(1, &good, false).bytes();
    check(
        &scene,
        &[
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
        ],
    );
}

#[test]
fn settings_and_pings_against_the_rules_end_the_connection() {
    let scene = Scene::new();
    check(
        &scene,
        &[
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
        ],
    );
}

#[test]
fn windows_and_resets_against_the_rules_end_the_connection() {
    let scene = Scene::new();
    let good = scene.good();
    let head = Frame::headers(1, &good, false).bytes();
    check(
        &scene,
        &[
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
        ],
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
fn unknown_frames_flags_and_padding_are_passed_over() {
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
