//! Heads: the headers that say where the body ends.

use super::Read::{Last, Rejected, Whole};
use super::{CHUNKED, LENGTH, OWN, Scene, event, request};

#[test]
fn a_length_has_one_reading() {
    assert_eq!(OWN.len(), LENGTH);
    let of = |value: &str| event(&format!("Content-Length: {value}\r\n"), "{own}");
    Scene::new().check(vec![
        ("as it should be", of("40"), Whole(200)),
        ("white space around it", of("\t 40 \t"), Whole(200)),
        ("zeros in front", of("00040"), Whole(200)),
        ("the same twice", of("40\r\nContent-Length: 40"), Whole(200)),
        ("two that differ", of("40\r\nContent-Length: 41"), Rejected),
        (
            "two that differ, the longer first",
            of("400\r\nContent-Length: 40"),
            Rejected,
        ),
        ("two in one", of("40, 40"), Rejected),
        ("a plus", of("+40"), Rejected),
        ("a minus", of("-40"), Rejected),
        ("hexadecimal", of("0x28"), Rejected),
        ("a space within", of("4 0"), Rejected),
        ("a fraction", of("40.0"), Rejected),
        ("a parameter", of("40;"), Rejected),
        ("quotes", of("\"40\""), Rejected),
        ("empty", of(""), Rejected),
        ("beyond 64 bits", of("18446744073709551656"), Rejected),
        ("the most of 64 bits", of("18446744073709551615"), Rejected),
        ("more than is taken", of("9223372036854775807"), Last(413)),
        (
            "a space before the colon",
            event("Content-Length : 40\r\n", "{own}"),
            Rejected,
        ),
        (
            "a name that is not quite it",
            event("Content_Length: 40\r\n", "{own}"),
            Rejected,
        ),
        ("none", event("", ""), Whole(400)),
    ]);
}

#[test]
fn a_length_beside_a_transfer_coding_has_one_reading() {
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
            Rejected,
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
            Rejected,
        ),
    ]);
}

#[test]
fn a_transfer_coding_other_than_chunked_is_rejected() {
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
        ("another behind it", of("chunked, identity"), Rejected),
        ("another before it", of("identity, chunked"), Rejected),
        ("gzip before it", of("gzip, chunked"), Rejected),
        ("twice in one", of("chunked, chunked"), Rejected),
        ("a comma before it", of(", chunked"), Rejected),
        ("a comma behind it", of("chunked,"), Rejected),
        ("another alone", of("identity"), Rejected),
        ("a letter before it", of("xchunked"), Rejected),
        ("a letter behind it", of("chunkedx"), Rejected),
        ("a parameter", of("chunked;q=1"), Rejected),
        ("quotes", of("\"chunked\""), Rejected),
        ("empty", of(""), Rejected),
        ("a vertical tab", of("\x0bchunked"), Rejected),
        ("a NUL", of("chunked\0"), Rejected),
        (
            "twice",
            of("chunked\r\nTransfer-Encoding: chunked"),
            Rejected,
        ),
        (
            "twice, another behind it",
            of("chunked\r\nTransfer-Encoding: identity"),
            Rejected,
        ),
        (
            "twice, another before it",
            of("identity\r\nTransfer-Encoding: chunked"),
            Rejected,
        ),
    ]);
}

#[test]
fn a_transfer_coding_on_a_bad_line_is_rejected() {
    let line = |line: &str| event(&format!("{line}\r\n"), CHUNKED);
    Scene::new().check(vec![
        (
            "a space before the colon",
            line("Transfer-Encoding : chunked"),
            Rejected,
        ),
        (
            "a tab before the colon",
            line("Transfer-Encoding\t: chunked"),
            Rejected,
        ),
        (
            "a space in the name",
            line("Transfer Encoding: chunked"),
            Rejected,
        ),
        (
            "a name that is not quite it",
            line("Transfer_Encoding: chunked"),
            Rejected,
        ),
        (
            "on a folded line",
            line("Transfer-Encoding:\r\n chunked"),
            Rejected,
        ),
        (
            "folded into another",
            line("X: a\r\n Transfer-Encoding: chunked"),
            Rejected,
        ),
        (
            "with HTTP/1.0",
            request(
                "POST /publish/allevents/ HTTP/1.0",
                "Transfer-Encoding: chunked\r\n",
                CHUNKED,
            ),
            Rejected,
        ),
        (
            "where no body is wanted",
            request(
                "GET /publish/healthcheck/ HTTP/1.1",
                "Transfer-Encoding: identity, chunked\r\n",
                "1\r\nx\r\n0\r\n\r\n",
            ),
            Rejected,
        ),
    ]);
}
