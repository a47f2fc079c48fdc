//! Heads and lengths that another reader may take for two requests.

use super::{Field, OWN, Scene};

/// Sends each case, with its name, its fields, and whether it has to be published.
#[track_caller]
fn check(scene: &Scene, cases: &[(&str, Vec<Field>, bool)]) {
    let mut faults = Vec::new();
    for (name, fields, expected) in cases {
        if scene.is_published(name, fields, OWN) != *expected {
            faults.push(format!("{name}: published {}, not {expected}", !expected));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_length_other_than_the_bodys_is_rejected() {
    let scene = Scene::new();
    let length = |value: &'static str| scene.with(&[("content-length", value)]);
    check(
        &scene,
        &[
            ("as it should be", scene.good(), true),
            ("its length", length("40"), true),
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
        ],
    );
    assert!(!scene.is_published("a length and no body", &length("40"), ""));
}

#[test]
fn fields_of_http1_are_rejected() {
    let scene = Scene::new();
    let field = |name: &'static str, value: &'static str| scene.with(&[(name, value)]);
    check(
        &scene,
        &[
            (
                "a transfer coding",
                field("transfer-encoding", "chunked"),
                false,
            ),
            ("trailers are welcome", field("te", "trailers"), true),
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
        ],
    );
}

#[test]
fn pseudo_fields_twice_late_or_missing_are_rejected() {
    let scene = Scene::new();
    let twice = |name: &'static str, value: &'static str| {
        let mut fields = scene.good();
        fields.insert(1, (name, value));
        fields
    };
    let late = |field: Field<'static>| scene.with(&[("x", "a"), field]);
    check(
        &scene,
        &[
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
        ],
    );
}

#[test]
fn targets_and_methods_of_another_form_are_rejected() {
    let scene = Scene::new();
    check(
        &scene,
        &[
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
        ],
    );
}

#[test]
fn bytes_that_end_a_line_are_rejected_in_fields() {
    let scene = Scene::new();
    let field = |name: &'static str, value: &'static str| scene.with(&[(name, value)]);
    check(
        &scene,
        &[
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
        ],
    );
}
