//! Compressed bodies: what comes out is what went in, and what would unfold without end is stopped
//! at the bound of any body, in bounded memory.

use std::thread;

use iem_test_support::{Answer, Gateway, Home, TOPICS, encoded, post};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

/// Each way to encode, with the name that it goes by in a request.
const WAYS: [(&str, &str); 4] = [
    ("gzip", "gzip"),
    ("zlib", "deflate"),
    ("deflate", "deflate"),
    ("zstd", "zstd"),
];

fn send(gateway: &Gateway, token: &str, encoding: &str, body: Vec<u8>) -> Answer {
    gateway.send(
        &post(EVENTS, body)
            .cookie(token)
            .header("Content-Encoding", encoding),
    )
}

/// A record of so many bytes.
fn record_of(len: usize) -> String {
    format!(
        r#"{{"envcustomerid":"acme","a":"{}"}}"#,
        "x".repeat(len - 31)
    )
}

#[test]
fn a_compressed_body_is_published_as_it_was() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let records: Vec<_> = (0..2000)
        .map(|number| format!(r#"{{"envcustomerid":"acme","n":{number}.0}}"#))
        .collect();
    let body = format!("[{}]", records.join(","));
    for (way, encoding) in WAYS {
        send(&gateway, &token, encoding, encoded(way, body.as_bytes())).expect(200);
    }
    let lines = gateway.home.records("events");
    assert_eq!(lines.len(), WAYS.len() * records.len());
    for (line, record) in lines.iter().zip(records.iter().cycle()) {
        assert_eq!(line.data, record.as_bytes());
    }
}

#[test]
fn chunks_may_end_anywhere() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    for (way, encoding) in WAYS {
        let mut request = format!(
            "POST {EVENTS} HTTP/1.1\r\nHost: gateway\r\nCookie: access_token={token}\r\n\
             Content-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        for byte in encoded(way, RECORD.as_bytes()) {
            request.extend([b"1\r\n", &[byte][..], b"\r\n"].concat());
        }
        request.extend(b"0\r\n\r\n");
        let mut connection = gateway.connect();
        for piece in request.chunks(97) {
            connection.send(piece);
        }
        connection.answer().expect(200);
        assert!(connection.is_usable());
    }
    assert_eq!(gateway.home.records("events").len(), WAYS.len());
}

#[test]
fn a_body_that_is_cut_off_is_400_and_nothing_is_written() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    for (way, encoding) in WAYS {
        let body = encoded(way, RECORD.as_bytes());
        for end in [1, 2, body.len() / 2, body.len() - 1] {
            let answer = send(&gateway, &token, encoding, body[..end].to_vec()).expect(400);
            assert_eq!(
                answer.message(),
                format!("the body is not valid {encoding}: it is cut off")
            );
        }
    }
    assert!(gateway.home.records("events").is_empty());
}

#[test]
fn the_limit_holds_for_the_decoded_body() {
    const LIMIT: usize = 64 << 10;
    let gateway = Home::new().set("server.max_body", "64 KiB").start();
    let token = gateway.token("alice");
    for (way, encoding) in WAYS {
        let exact = encoded(way, record_of(LIMIT).as_bytes());
        assert!(exact.len() < LIMIT / 100, "{way}: it is compressed");
        send(&gateway, &token, encoding, exact).expect(200);
        let more = encoded(way, record_of(LIMIT + 1).as_bytes());
        let answer = send(&gateway, &token, encoding, more).expect(413);
        assert_eq!(
            answer.message(),
            "The body is larger than the 65536 bytes that are taken"
        );
    }
}

#[test]
fn bombs_end_at_the_limit_in_bounded_memory() {
    const MIB: usize = 1 << 20;
    let mut home = Home::new()
        .set("server.max_body", "1 MiB")
        .set("server.threads", 2);
    for topic in TOPICS {
        home = home.set(&format!("topics.{topic}.queue_bytes"), "1 MiB");
        home = home.set(&format!("topics.{topic}.batch_bytes"), "1 MiB");
    }
    let mut gateway = home.set("server.memory", "16 MiB").spawn();
    let token = gateway.token("alice");
    gateway.publish(EVENTS, RECORD).expect(200);
    let before = gateway.peak_memory();
    let unit = vec![b' '; 4 * MIB];
    thread::scope(|scope| {
        for (way, encoding) in WAYS {
            let bomb = encoded(way, &unit);
            // Members and frames may follow each other: a thousand times and more what is sent.
            let bomb = if matches!(way, "gzip" | "zstd") {
                bomb.repeat(64)
            } else {
                bomb
            };
            assert!(bomb.len() < MIB);
            for _ in 0..8 {
                let (gateway, token, bomb) = (&gateway, &token, bomb.clone());
                scope.spawn(move || {
                    for _ in 0..4 {
                        let answer = send(gateway, token, encoding, bomb.clone());
                        assert!(
                            [413, 503].contains(&answer.status),
                            "{encoding}: {answer:?}"
                        );
                    }
                });
            }
        }
    });
    let grown = gateway.peak_memory() - before;
    assert!(grown < 64 * MIB as u64, "grown by {grown} bytes");
    gateway.publish(EVENTS, RECORD).expect(200);
}
