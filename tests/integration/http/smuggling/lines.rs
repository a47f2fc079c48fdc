//! Heads: their request lines, and the lines, names and values of their headers.

use super::Read::{Last, Rejected, Whole};
use super::{Scene, event, request};

#[test]
fn the_ends_of_lines_have_one_reading() {
    let of = |line: &str| event(&format!("{line}\r\nContent-Length: 40\r\n"), "{own}");
    Scene::new().check(vec![
        // RFC 9112, section 2.2: the one reading that is in use, where it is not refused.
        (
            "lines that end in a line feed alone",
            of("X: a").replace("\r\n", "\n"),
            Whole(200),
        ),
        ("one line that does", of("X: a\nY: b"), Whole(200)),
        ("a head that does", event("X: a\n\n", ""), Whole(400)),
        ("a carriage return alone", of("X: a\rY: b"), Rejected),
        (
            "a carriage return before the line's end",
            of("X: a\r"),
            Rejected,
        ),
        (
            "a carriage return in the request line",
            request(
                "POST /publish/allevents/ HTTP/1.1\r",
                "Content-Length: 40\r\n",
                "{own}",
            ),
            Rejected,
        ),
        ("a folded line", of("X: a\r\n b"), Rejected),
        ("a line folded by a tab", of("X: a\r\n\tb"), Rejected),
        (
            "a folded first line",
            request(
                "POST /publish/allevents/ HTTP/1.1\r\n X: a",
                "Content-Length: 40\r\n",
                "{own}",
            ),
            Rejected,
        ),
    ]);
}

#[test]
fn names_and_values_have_one_reading() {
    let of = |line: &str| event(&format!("{line}\r\nContent-Length: 40\r\n"), "{own}");
    Scene::new().check(vec![
        ("a NUL in a value", of("X: a\0b"), Rejected),
        ("a NUL in a name", of("X\0: a"), Rejected),
        ("a control byte in a value", of("X: a\x01b"), Rejected),
        ("a control byte in a name", of("X\x01: a"), Rejected),
        ("a form feed in a value", of("X: a\x0cb"), Rejected),
        ("DEL in a value", of("X: a\x7fb"), Rejected),
        ("a tab in a value", of("X: a\tb"), Whole(200)),
        (
            "bytes beyond ASCII in a value",
            of("X: \u{e4}\u{20ac}"),
            Whole(200),
        ),
        ("bytes beyond ASCII in a name", of("\u{e4}: a"), Rejected),
        ("a space in a name", of("X Y: a"), Rejected),
        ("a space before the colon", of("X : a"), Rejected),
        ("a bracket in a name", of("X[: a"), Rejected),
        ("no name", of(": a"), Rejected),
        ("no colon", of("X"), Rejected),
        (
            "more lines than are taken",
            of(&"X: a\r\n".repeat(200)),
            Rejected,
        ),
        (
            "what is named as belonging to the connection",
            of("Connection: Content-Length"),
            Whole(200),
        ),
    ]);
}

#[test]
fn a_method_and_a_target_have_one_reading() {
    let line = |line: &str| request(line, "Content-Length: 40\r\n", "{own}");
    Scene::new().check(vec![
        (
            "empty lines in front",
            format!("\r\n\r\n{}", line("POST /publish/allevents/ HTTP/1.1")),
            Whole(200),
        ),
        (
            "a fragment",
            line("POST /publish/allevents/#more HTTP/1.1"),
            Whole(200),
        ),
        (
            "a query",
            line("POST /publish/allevents/?a=b HTTP/1.1"),
            Whole(200),
        ),
        (
            "two slashes",
            line("POST //publish/allevents/ HTTP/1.1"),
            Whole(404),
        ),
        (
            "dots",
            line("POST /publish/../publish/allevents/ HTTP/1.1"),
            Whole(404),
        ),
        (
            "a method in lower case",
            line("post /publish/allevents/ HTTP/1.1"),
            Whole(405),
        ),
    ]);
}

#[test]
fn a_request_line_with_other_white_space_is_rejected() {
    let line = |line: &str| request(line, "Content-Length: 40\r\n", "{own}");
    Scene::new().check(vec![
        (
            "a space in front",
            line(" POST /publish/allevents/ HTTP/1.1"),
            Rejected,
        ),
        (
            "two spaces before the target",
            line("POST  /publish/allevents/ HTTP/1.1"),
            Rejected,
        ),
        (
            "two spaces behind the target",
            line("POST /publish/allevents/  HTTP/1.1"),
            Rejected,
        ),
        (
            "a space at the end",
            line("POST /publish/allevents/ HTTP/1.1 "),
            Rejected,
        ),
        (
            "a space in the target",
            line("POST /publish/all events/ HTTP/1.1"),
            Rejected,
        ),
        (
            "tabs",
            line("POST\t/publish/allevents/\tHTTP/1.1"),
            Rejected,
        ),
        (
            "a NUL in the target",
            line("POST /publish/allevents/\0 HTTP/1.1"),
            Rejected,
        ),
        (
            "a control byte in the target",
            line("POST /publish/allevents/\x7f HTTP/1.1"),
            Rejected,
        ),
        (
            "no slash",
            line("POST publish/allevents/ HTTP/1.1"),
            Rejected,
        ),
    ]);
}

#[test]
fn a_request_line_of_another_form_is_rejected() {
    let line = |line: &str| request(line, "Content-Length: 40\r\n", "{own}");
    Scene::new().check(vec![
        ("no target", line("POST HTTP/1.1"), Rejected),
        ("no version", line("POST /publish/allevents/"), Rejected),
        (
            "a version in lower case",
            line("POST /publish/allevents/ http/1.1"),
            Rejected,
        ),
        (
            "a version of one more digit",
            line("POST /publish/allevents/ HTTP/1.10"),
            Rejected,
        ),
        (
            "a version that is not served",
            line("POST /publish/allevents/ HTTP/2.0"),
            Rejected,
        ),
        (
            "a version to come",
            line("POST /publish/allevents/ HTTP/1.2"),
            Rejected,
        ),
        (
            "a colon in the method",
            line("POST: /publish/allevents/ HTTP/1.1"),
            Rejected,
        ),
        (
            "a very long method",
            line(&format!(
                "{} /publish/allevents/ HTTP/1.1",
                "X".repeat(1 << 17)
            )),
            Rejected,
        ),
        (
            "a very long target",
            line(&format!("POST /{} HTTP/1.1", "x".repeat(1 << 17))),
            Rejected,
        ),
    ]);
}

#[test]
fn a_host_has_one_reading() {
    let rest = "Cookie: access_token={token}\r\nContent-Length: 40\r\n\r\n{own}";
    let of = |hosts: &str| {
        [
            format!("POST /publish/allevents/ HTTP/1.1\r\n{hosts}{rest}"),
            format!("POST http://gateway/publish/allevents/ HTTP/1.1\r\n{hosts}{rest}"),
        ]
    };
    let [one, absolute] = of("Host: gateway\r\n");
    let [_, other] = of("Host: other\r\n");
    let [empty, _] = of("Host:\r\n");
    let [none, absolute_none] = of("");
    let [two, absolute_two] = of("Host: gateway\r\nHost: other\r\n");
    let [same, _] = of("Host: gateway\r\nHost: gateway\r\n");
    let old = none.replace("HTTP/1.1", "HTTP/1.0");
    Scene::new().check(vec![
        ("one", one, Whole(200)),
        ("one, and a whole target", absolute, Whole(200)),
        // RFC 9112, section 3.2.2: the target's counts, and none is looked at here.
        ("another than the target's", other, Whole(200)),
        ("an empty one", empty, Whole(200)),
        ("none", none, Rejected),
        ("none, and a whole target", absolute_none, Rejected),
        ("none, with HTTP/1.0", old, Last(200)),
        ("two", two, Rejected),
        ("two, and a whole target", absolute_two, Rejected),
        ("the same twice", same, Rejected),
    ]);
}
