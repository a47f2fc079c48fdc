//! The record's bytes leave as they came: what the files hold against what was sent.

use iem_test_support::{Gateway, Home, example};

/// Drops the white space between tokens, and nothing else.
pub(crate) fn compact(json: &[u8]) -> Vec<u8> {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |byte: &u8| {
        if in_string {
            in_string = *byte != b'"' || escaped;
            escaped = *byte == b'\\' && !escaped;
            return true;
        }
        in_string = *byte == b'"';
        !byte.is_ascii_whitespace()
    };
    let mut keep = keep;
    json.iter().copied().filter(|byte| keep(byte)).collect()
}

/// Publishes each body, and compares what the files hold with it.
fn check(gateway: &Gateway, path: &str, topic: &str, bodies: &[Vec<u8>]) {
    for body in bodies {
        gateway.publish(path, body.clone()).expect(200);
    }
    let lines = gateway.home.records(topic);
    assert_eq!(lines.len(), bodies.len(), "one line for each record");
    for (line, body) in lines.iter().zip(bodies) {
        let (data, body) = (
            String::from_utf8_lossy(&line.data),
            String::from_utf8_lossy(body),
        );
        let of_one_line = !body.trim().contains(['\n', '\r']);
        if of_one_line {
            assert_eq!(
                data,
                body.trim_matches([' ', '\t', '\r', '\n', '\u{feff}']),
                "to the byte"
            );
        } else {
            let text = |json: &str| String::from_utf8(compact(json.as_bytes())).unwrap();
            assert_eq!(
                text(&data),
                text(&body),
                "but for the white space between tokens"
            );
        }
    }
}

fn texts(bodies: &[&str]) -> Vec<Vec<u8>> {
    bodies.iter().map(|body| body.as_bytes().to_vec()).collect()
}

#[test]
fn white_space_between_tokens_is_told_from_text() {
    assert_eq!(
        compact(b"{ \"a b\\\" \\\\\" : [ 1,\n\t2 ] }"),
        b"{\"a b\\\" \\\\\":[1,2]}"
    );
}

#[test]
fn every_example_record_keeps_its_bytes() {
    let gateway = Home::new().start();
    for (path, topic, name) in [
        ("/publish/allevents/", "events", "event"),
        ("/publish/metrics/", "metrics", "metric"),
        ("/publish/entity/", "entities", "entity"),
        ("/publish/service/", "services", "service"),
        ("/publish/healthcheck/", "healthchecks", "healthcheck"),
        (
            "/gbp/push/acme?integrationid=servicenow-1",
            "tickets",
            "ticket",
        ),
    ] {
        let example = example(name).expect("an example");
        check(&gateway, path, topic, &[example.into()]);
    }
}

/// As [`check`], with events.
fn check_events(bodies: &[Vec<u8>]) {
    check(
        &Home::new().start(),
        "/publish/allevents/",
        "events",
        bodies,
    );
}

#[test]
fn numbers_keep_their_digits() {
    let bodies = texts(&[
        r#"{"envcustomerid":"acme","a":123456789012345678901234567890.000100}"#,
        r#"{"envcustomerid":"acme","a":[-0,-0.0,0.10,1E+02,1e-400,1e400,18446744073709551616,-9223372036854775809]}"#,
        r#"{"envcustomerid":"acme","a":9007199254740993}"#,
    ]);
    check_events(&bodies);
}

#[test]
fn strings_keep_their_escapes_and_their_bytes() {
    let bodies = texts(&[
        r#"{"envcustomerid":"acme","a":"\u00e4ä\/\/\\\"\b\f\n\r\t\u0000\u2028\ud83d\ude00😀"}"#,
        "{\"envcustomerid\":\"acme\",\"grüße\":\"日本語 \u{2028} \u{7f} \u{10ffff} \u{feff}\"}",
        r#"{"\u0065nvcustomerid":"\u0061cme","a":"  spaces  {}[],:  "}"#,
    ]);
    check_events(&bodies);
}

#[test]
fn keys_keep_their_order_and_unknown_ones_stay() {
    let bodies = texts(&[
        r#"{"z":1,"envcustomerid":"acme","a":2,"z":3,"":{"b":null,"a":true},"id":"mine","data":{"data":1},"specversion":"9"}"#,
        r#"{"envcustomerid":"acme"}"#,
    ]);
    check_events(&bodies);
}

#[test]
fn white_space_within_one_line_stays_too() {
    let bodies = texts(&[
        "  {  \"envcustomerid\" :\t\"acme\" ,  \"a\" : [ 1 , 2 ]  }  ",
        "{\"envcustomerid\":\"acme\"}\n",
        "\u{feff}{\"envcustomerid\":\"acme\"}\r\n",
    ]);
    check_events(&bodies);
}

#[test]
fn line_breaks_between_tokens_go_and_those_in_strings_stay() {
    let bodies = texts(&[
        "\r\n{\r\n\t\"envcustomerid\":\r\n\"acme\",\r\"a\"\n:\n[\n1\n,\n\"\\n \\\" \\\\\"\n]\n}\n\n",
        "{\n  \"envcustomerid\": \"acme\",\n  \"b  c\": \"  two  spaces  \",\n\n\n  \"d\": 1\n}",
    ]);
    check_events(&bodies);
}

#[test]
fn large_and_deep_records_keep_their_bytes() {
    let deep = format!(
        r#"{{"envcustomerid":"acme","a":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let wide: Vec<String> = (0..50_000)
        .map(|number| format!(r#""key-{number}":{number}"#))
        .collect();
    let wide = format!(r#"{{{},"envcustomerid":"acme"}}"#, wide.join(","));
    let long = format!(
        r#"{{"envcustomerid":"acme","a":"{}"}}"#,
        "ä\\n".repeat(1 << 19)
    );
    let gateway = Home::new().start();
    for body in [deep, wide, long] {
        gateway
            .publish("/publish/allevents/", body.clone())
            .expect(200);
        let lines = gateway.home.path("data").join("events");
        let held = std::fs::read_dir(lines)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let held = held.collect::<Vec<_>>().concat();
        // Not by a parser: most give up at such depths.
        assert!(
            String::from_utf8(held).unwrap().contains(&body),
            "the record's bytes stand in the file"
        );
    }
}
