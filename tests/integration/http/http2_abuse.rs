//! HTTP/2 in hostile hands, frame by frame: what it costs stays the offender's own. Each case ends
//! with another client that is served.

use std::io;
use std::thread;

use iem_test_support::Frames;
use iem_test_support::frames::{
    CONTINUATION, DATA, END_HEADERS, Frame, HEADERS, PING, RST_STREAM, SETTINGS, header_block,
};
use iem_test_support::{Gateway, Home};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// More than a flood gets through before it is ended.
const FLOOD_BYTES: usize = 256 << 20;

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/publish/healthcheck/"),
    (":authority", "gateway"),
];

#[track_caller]
fn serves_others(gateway: &Gateway) {
    gateway.publish("/publish/allevents/", RECORD).expect(200);
}

fn post_head(cookie: &str) -> [(&str, &str); 4] {
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/publish/allevents/"),
        ("cookie", cookie),
    ]
}

/// Sends these bytes over and over, and reads what comes back meanwhile, until the connection ends;
/// the error codes of the GOAWAY frames on the way.
#[track_caller]
fn flood(frames: &mut Frames, bytes: &[u8]) -> Vec<u32> {
    let mut reading = frames.handle();
    let reader = thread::spawn(move || reading.end());
    let mut sent = 0;
    while frames.send_bytes(bytes).is_ok() {
        sent += bytes.len();
        assert!(sent < FLOOD_BYTES, "the flood is never ended");
    }
    reader.join().expect("the reader")
}

#[test]
fn streams_reset_at_once_end_the_connection() {
    let gateway = Home::new().start();
    let mut frames = Frames::open(gateway.address, &[]);
    let all: Vec<u8> = (0..2000)
        .flat_map(|number| Frame::cancelled_request(2 * number + 1, &GET))
        .collect();
    // It is ended before all has been read.
    let _ = frames.send_bytes(&all);
    assert_eq!(frames.end().last(), Some(&ENHANCE_YOUR_CALM));
    gateway.await_reached("http2_abuse", 1);
    serves_others(&gateway);
}

#[test]
fn requests_at_fault_again_and_again_end_the_connection() {
    let gateway = Home::new().set("server.http2.max_error_resets", 10).start();
    let mut frames = Frames::open(gateway.address, &[]);
    // A field of HTTP/1.1 is an error of the stream (RFC 9113, section 8.2.2).
    let bad = [&GET[..], &[("connection", "close")]].concat();
    let all: Vec<u8> = (0..200)
        .flat_map(|number| Frame::headers(2 * number + 1, &bad, true).bytes())
        .collect();
    let _ = frames.send_bytes(&all);
    assert_eq!(frames.end().last(), Some(&ENHANCE_YOUR_CALM));
    serves_others(&gateway);
}

#[test]
fn a_head_without_end_ends_the_connection() {
    let gateway = Home::new().start();
    let mut frames = Frames::open(gateway.address, &[]);
    frames
        .send(&Frame::new(HEADERS, 0, 1, header_block(&GET)))
        .expect("the gateway reads");
    let more = Frame::new(
        CONTINUATION,
        0,
        1,
        header_block(&[("x", &"x".repeat(1000))]),
    );
    flood(&mut frames, &more.bytes());
    serves_others(&gateway);

    let mut frames = Frames::open(gateway.address, &[]);
    frames
        .send(&Frame::new(HEADERS, 0, 1, header_block(&GET)))
        .expect("the gateway reads");
    flood(&mut frames, &Frame::new(CONTINUATION, 0, 1, []).bytes());
    serves_others(&gateway);
}

#[test]
fn settings_and_pings_without_a_request_end_the_connection() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    for frame in [
        Frame::new(SETTINGS, 0, 0, []),
        Frame::new(PING, 0, 0, [0; 8]),
    ] {
        // With the acknowledgements read, and with none of them read.
        let mut read = Frames::open(gateway.address, &[]);
        flood(&mut read, &frame.bytes().repeat(1000));
        let mut unread = Frames::open(gateway.address, &[]);
        while unread.send_bytes(&frame.bytes().repeat(1000)).is_ok() {}
        serves_others(&gateway);
    }
}

#[test]
fn pings_after_a_request_are_bounded() {
    let gateway = Home::new().start();
    let mut frames = Frames::open(gateway.address, &[]);
    frames
        .send(&Frame::headers(1, &GET, true))
        .expect("the gateway reads");
    frames.find(DATA);
    let codes = flood(
        &mut frames,
        &Frame::new(PING, 0, 0, [0; 8]).bytes().repeat(1000),
    );
    assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
    gateway.await_reached("http2_abuse", 1);
    serves_others(&gateway);
}

#[test]
fn empty_data_frames_end_the_connection() {
    let gateway = Home::new().start();
    let cookie = format!("access_token={}", gateway.token("alice"));
    let mut frames = Frames::open(gateway.address, &[]);
    frames
        .send(&Frame::headers(1, &post_head(&cookie), false))
        .expect("the gateway reads");
    let codes = flood(&mut frames, &Frame::new(DATA, 0, 1, []).bytes().repeat(100));
    assert!(
        codes.is_empty() || codes.last() == Some(&ENHANCE_YOUR_CALM),
        "{codes:?}"
    );
    serves_others(&gateway);
}

#[test]
fn an_answer_that_is_not_taken_ends_its_stream() {
    let gateway = Home::new().with_short_times().start();
    let mut frames = Frames::open(gateway.address, &[(INITIAL_WINDOW_SIZE, 0)]);
    frames
        .send(&Frame::headers(1, &GET, true))
        .expect("the gateway reads");
    assert_eq!(frames.find(HEADERS).stream, 1);
    serves_others(&gateway);
    assert_eq!(frames.find(RST_STREAM).stream, 1);
    gateway.await_reached("request_time", 1);
}

#[test]
fn streams_beyond_the_limit_are_rejected_one_by_one() {
    let gateway = Home::new().set("server.http2.max_streams", 2).start();
    let cookie = format!("access_token={}", gateway.token("alice"));
    let mut frames = Frames::open(gateway.address, &[]);
    frames.find(SETTINGS);
    for stream in [1, 3, 5] {
        frames
            .send(&Frame::headers(stream, &post_head(&cookie), false))
            .expect("the gateway reads");
    }
    let refused = frames.find(RST_STREAM);
    assert_eq!((refused.stream, refused.error_code()), (5, REFUSED_STREAM));
    for stream in [1, 3] {
        frames
            .send(&Frame::new(DATA, 1, stream, RECORD))
            .expect("the gateway reads");
        frames.find(HEADERS);
    }
    assert_eq!(gateway.home.records("events").len(), 2);
    serves_others(&gateway);
}

#[test]
fn a_head_that_grows_when_decoded_ends_the_connection() {
    let gateway = Home::new().set("server.max_header", "8 KiB").start();
    // One octet on the wire stands for a field of 4 KiB (RFC 7541, section 7.3).
    let mut block = header_block(&GET);
    block.push(0x40);
    block.extend(&header_block(&[("x", &"x".repeat(4000))])[1..]);
    block.extend([0xbe; 4000]);
    let mut frames = Frames::open(gateway.address, &[]);
    frames
        .send(&Frame::new(HEADERS, END_HEADERS | 1, 1, block))
        .expect("the gateway reads");
    assert_eq!(frames.end().last(), Some(&ENHANCE_YOUR_CALM));
    serves_others(&gateway);
}

#[test]
fn half_a_preface_ends_the_connection_in_time() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\n"[..],
        b"",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut frames = Frames::silent(gateway.address);
        frames.send_bytes(bytes).expect("the gateway reads");
        frames.end();
    }
    let mut silent = Frames::open(gateway.address, &[]);
    assert!(
        silent.end().iter().all(|code| *code == 0),
        "told to go without an error"
    );
    serves_others(&gateway);
}

#[test]
fn a_connection_that_only_begins_as_http2_ends() {
    let gateway = Home::new().start();
    for bytes in [
        &b"PRI * HTTP/1.1\r\n\r\n"[..],
        b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut connection = gateway.connect();
        let _ = connection.try_send(bytes);
        match connection.try_answer() {
            Ok(Some(answer)) => assert!((400..500).contains(&answer.status), "{answer:?}"),
            Ok(None) => {}
            Err(error) => assert_ne!(
                error.kind(),
                io::ErrorKind::WouldBlock,
                "no answer and no end"
            ),
        }
    }
    let mut frames = Frames::open(gateway.address, &[]);
    let _ = frames.send_bytes(&[0xff; 4096]);
    frames.end();
    serves_others(&gateway);
}

#[test]
fn a_request_whose_stream_is_reset_publishes_nothing_more() {
    let gateway = Home::new().start();
    let cookie = format!("access_token={}", gateway.token("alice"));
    let mut frames = Frames::open(gateway.address, &[]);
    frames
        .send(&Frame::headers(1, &post_head(&cookie), false))
        .expect("the gateway reads");
    frames
        .send(&Frame::new(DATA, 0, 1, RECORD))
        .expect("the gateway reads");
    frames
        .send(&Frame::new(RST_STREAM, 0, 1, 8u32.to_be_bytes()))
        .expect("the gateway reads");
    frames
        .send(&Frame::headers(3, &GET, true))
        .expect("the gateway reads");
    assert_eq!(frames.find(HEADERS).stream, 3);
    serves_others(&gateway);
    assert_eq!(
        gateway.home.records("events").len(),
        1,
        "the other client's alone"
    );
}
