//! Heads: where they say that the body ends, and where they end themselves.

use super::Read::{Last, Refused, Whole};
use super::{CHUNKED, LENGTH, OWN, Scene, event, request};

#[test]
fn lengths() {
    assert_eq!(OWN.len(), LENGTH);
    let of = |value: &str| event(&format!("Content-Length: {value}\r\n"), "{own}");
    Scene::new().check(vec![
        ("as it should be", of("40"), Whole(200)),
        ("white space around it", of("\t 40 \t"), Whole(200)),
        ("zeros in front", of("00040"), Whole(200)),
        ("the same twice", of("40\r\nContent-Length: 40"), Whole(200)),
        ("two that differ", of("40\r\nContent-Length: 41"), Refused),
        (
            "two that differ, the longer first",
            of("400\r\nContent-Length: 40"),
            Refused,
        ),
        ("two in one", of("40, 40"), Refused),
        ("a plus", of("+40"), Refused),
        ("a minus", of("-40"), Refused),
        ("hexadecimal", of("0x28"), Refused),
        ("a space within", of("4 0"), Refused),
        ("a fraction", of("40.0"), Refused),
        ("a parameter", of("40;"), Refused),
        ("quotes", of("\"40\""), Refused),
        ("empty", of(""), Refused),
        ("beyond 64 bits", of("18446744073709551656"), Refused),
        ("the most of 64 bits", of("18446744073709551615"), Refused),
        ("more than is taken", of("9223372036854775807"), Last(413)),
        (
            "a space before the colon",
            event("Content-Length : 40\r\n", "{own}"),
            Refused,
        ),
        (
            "a name that is not quite it",
            event("Content_Length: 40\r\n", "{own}"),
            Refused,
        ),
        ("none", event("", ""), Whole(400)),
    ]);
}

#[test]
fn a_length_beside_a_transfer_coding() {
    let own = |headers: &str| event(headers, CHUNKED);
    let hides = |headers: &str| event(headers, "0\r\n\r\n{hidden}");
    Scene::new().check(vec![
        (
            "the length first",
            own("Content-Length: 40\r\nTransfer-Encoding: chunked\r\n"),
            Last(200),
        ),
        (
            "the coding first",
            own("Transfer-Encoding: chunked\r\nContent-Length: 40\r\n"),
            Last(200),
        ),
        (
            "a length of 0",
            own("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
            Last(200),
        ),
        (
            "a body to who reads the length, a request to who reads chunks",
            hides("Content-Length: {hidden length}\r\nTransfer-Encoding: chunked\r\n"),
            Last(400),
        ),
        (
            "the same, the coding first",
            hides("Transfer-Encoding: chunked\r\nContent-Length: {hidden length}\r\n"),
            Last(400),
        ),
        (
            "a bad length first",
            own("Content-Length: x\r\nTransfer-Encoding: chunked\r\n"),
            Refused,
        ),
        (
            "a bad length behind",
            own("Transfer-Encoding: chunked\r\nContent-Length: x\r\n"),
            Last(200),
        ),
        (
            "a coding hidden behind a line feed",
            own("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 40\r\n"),
            Last(200),
        ),
        (
            "a length hidden behind a line feed",
            event("X: a\nContent-Length: 4\r\nContent-Length: 40\r\n", "{own}"),
            Refused,
        ),
    ]);
}

#[test]
fn transfer_codings() {
    let of = |value: &str| event(&format!("Transfer-Encoding: {value}\r\n"), CHUNKED);
    let line = |line: &str| event(&format!("{line}\r\n"), CHUNKED);
    Scene::new().check(vec![
        ("as it should be", of("chunked"), Whole(200)),
        (
            "in upper case",
            line("TRANSFER-ENCODING: CHUNKED"),
            Whole(200),
        ),
        ("white space around it", of("\t chunked \t"), Whole(200)),
        ("no space", line("Transfer-Encoding:chunked"), Whole(200)),
        ("another behind it", of("chunked, identity"), Refused),
        ("another before it", of("identity, chunked"), Refused),
        ("gzip before it", of("gzip, chunked"), Refused),
        ("twice in one", of("chunked, chunked"), Refused),
        ("a comma before it", of(", chunked"), Refused),
        ("a comma behind it", of("chunked,"), Refused),
        ("another alone", of("identity"), Refused),
        ("a letter before it", of("xchunked"), Refused),
        ("a letter behind it", of("chunkedx"), Refused),
        ("a parameter", of("chunked;q=1"), Refused),
        ("quotes", of("\"chunked\""), Refused),
        ("empty", of(""), Refused),
        ("a vertical tab", of("\x0bchunked"), Refused),
        ("a NUL", of("chunked\0"), Refused),
        (
            "twice",
            of("chunked\r\nTransfer-Encoding: chunked"),
            Refused,
        ),
        (
            "twice, another behind it",
            of("chunked\r\nTransfer-Encoding: identity"),
            Refused,
        ),
        (
            "twice, another before it",
            of("identity\r\nTransfer-Encoding: chunked"),
            Refused,
        ),
        (
            "a space before the colon",
            line("Transfer-Encoding : chunked"),
            Refused,
        ),
        (
            "a tab before the colon",
            line("Transfer-Encoding\t: chunked"),
            Refused,
        ),
        (
            "a space in the name",
            line("Transfer Encoding: chunked"),
            Refused,
        ),
        (
            "a name that is not quite it",
            line("Transfer_Encoding: chunked"),
            Refused,
        ),
        (
            "on a folded line",
            line("Transfer-Encoding:\r\n chunked"),
            Refused,
        ),
        (
            "folded into another",
            line("X: a\r\n Transfer-Encoding: chunked"),
            Refused,
        ),
        (
            "with HTTP/1.0",
            request(
                "POST /publish/allevents/ HTTP/1.0",
                "Transfer-Encoding: chunked\r\n",
                CHUNKED,
            ),
            Refused,
        ),
        (
            "where no body is wanted",
            request(
                "GET /publish/healthcheck/ HTTP/1.1",
                "Transfer-Encoding: identity, chunked\r\n",
                "1\r\nx\r\n0\r\n\r\n",
            ),
            Refused,
        ),
    ]);
}

#[test]
fn lines_names_and_values() {
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
        ("a carriage return alone", of("X: a\rY: b"), Refused),
        (
            "a carriage return before the line's end",
            of("X: a\r"),
            Refused,
        ),
        (
            "a carriage return in the request line",
            request(
                "POST /publish/allevents/ HTTP/1.1\r",
                "Content-Length: 40\r\n",
                "{own}",
            ),
            Refused,
        ),
        ("a folded line", of("X: a\r\n b"), Refused),
        ("a line folded by a tab", of("X: a\r\n\tb"), Refused),
        (
            "a folded first line",
            request(
                "POST /publish/allevents/ HTTP/1.1\r\n X: a",
                "Content-Length: 40\r\n",
                "{own}",
            ),
            Refused,
        ),
        ("a NUL in a value", of("X: a\0b"), Refused),
        ("a NUL in a name", of("X\0: a"), Refused),
        ("a control byte in a value", of("X: a\x01b"), Refused),
        ("a control byte in a name", of("X\x01: a"), Refused),
        ("a form feed in a value", of("X: a\x0cb"), Refused),
        ("DEL in a value", of("X: a\x7fb"), Refused),
        ("a tab in a value", of("X: a\tb"), Whole(200)),
        (
            "bytes beyond ASCII in a value",
            of("X: \u{e4}\u{20ac}"),
            Whole(200),
        ),
        ("bytes beyond ASCII in a name", of("\u{e4}: a"), Refused),
        ("a space in a name", of("X Y: a"), Refused),
        ("a space before the colon", of("X : a"), Refused),
        ("a bracket in a name", of("X[: a"), Refused),
        ("no name", of(": a"), Refused),
        ("no colon", of("X"), Refused),
        (
            "more lines than are taken",
            of(&"X: a\r\n".repeat(200)),
            Refused,
        ),
        (
            "what is named as belonging to the connection",
            of("Connection: Content-Length"),
            Whole(200),
        ),
    ]);
}

#[test]
fn request_lines() {
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
        (
            "a space in front",
            line(" POST /publish/allevents/ HTTP/1.1"),
            Refused,
        ),
        (
            "two spaces before the target",
            line("POST  /publish/allevents/ HTTP/1.1"),
            Refused,
        ),
        (
            "two spaces behind the target",
            line("POST /publish/allevents/  HTTP/1.1"),
            Refused,
        ),
        (
            "a space at the end",
            line("POST /publish/allevents/ HTTP/1.1 "),
            Refused,
        ),
        (
            "a space in the target",
            line("POST /publish/all events/ HTTP/1.1"),
            Refused,
        ),
        ("tabs", line("POST\t/publish/allevents/\tHTTP/1.1"), Refused),
        (
            "a NUL in the target",
            line("POST /publish/allevents/\0 HTTP/1.1"),
            Refused,
        ),
        (
            "a control byte in the target",
            line("POST /publish/allevents/\x7f HTTP/1.1"),
            Refused,
        ),
        (
            "no slash",
            line("POST publish/allevents/ HTTP/1.1"),
            Refused,
        ),
        ("no target", line("POST HTTP/1.1"), Refused),
        ("no version", line("POST /publish/allevents/"), Refused),
        (
            "a version in lower case",
            line("POST /publish/allevents/ http/1.1"),
            Refused,
        ),
        (
            "a version of one more digit",
            line("POST /publish/allevents/ HTTP/1.10"),
            Refused,
        ),
        (
            "a version that is not served",
            line("POST /publish/allevents/ HTTP/2.0"),
            Refused,
        ),
        (
            "a version to come",
            line("POST /publish/allevents/ HTTP/1.2"),
            Refused,
        ),
        (
            "a colon in the method",
            line("POST: /publish/allevents/ HTTP/1.1"),
            Refused,
        ),
        (
            "a very long method",
            line(&format!(
                "{} /publish/allevents/ HTTP/1.1",
                "X".repeat(1 << 17)
            )),
            Refused,
        ),
        (
            "a very long target",
            line(&format!("POST /{} HTTP/1.1", "x".repeat(1 << 17))),
            Refused,
        ),
    ]);
}

#[test]
fn hosts() {
    let of = |hosts: &str| {
        let target = |line: &str| {
            format!(
                "{line}\r\n{hosts}Cookie: access_token={{token}}\r\nContent-Length: 40\r\n\r\n{{own}}"
            )
        };
        [
            target("POST /publish/allevents/ HTTP/1.1"),
            target("POST http://gateway/publish/allevents/ HTTP/1.1"),
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
        ("none", none, Refused),
        ("none, and a whole target", absolute_none, Refused),
        ("none, with HTTP/1.0", old, Last(200)),
        ("two", two, Refused),
        ("two, and a whole target", absolute_two, Refused),
        ("the same twice", same, Refused),
    ]);
}
