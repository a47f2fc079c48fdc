//! The grammar of RFC 8259, by both ways of reading.

use super::*;

#[test]
fn text_that_rfc_8259_allows_is_accepted() {
    let numbers = format!(
        "[-0,0.0,1e-999,1E+400,{},-1.{}e{}]",
        "7".repeat(400),
        "3".repeat(400),
        "9".repeat(400)
    );
    for value in [
        &*numbers,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\"\\\/\b\f\n\r\t\u0000\uFFFF""#,
        "\"\u{7f}\u{2028}\u{feff}\u{10ffff}\"",
        "\t[ \r\n{ } ,\t[ ] ]",
    ] {
        check(
            format!("\r\n {{ \"a\" : {value} ,\t\"envcustomerid\":\"acme\"}} \n\n"),
            Ok(("acme", None)),
        );
        check(
            format!(
                r#"{{"{}":{value},"\udfff":1,"envcustomerid":1}}"#,
                r"\ud800"
            ),
            Ok(("1", None)),
        );
    }
}

#[test]
fn a_second_value_is_answered_with_the_name_of_ndjson() {
    let one = r#"{"envcustomerid":"acme"}"#;
    for (body, at) in [
        (format!("{one}\n{one}\n"), 25),
        (format!("{one}{one}"), 24),
        (format!("\n{one}\r\n\r\n{one}{one}"), 29),
        (format!("{{}}[{one}]"), 2),
    ] {
        let message = format!(
            "a second JSON value at byte {at}; send several records as one array, or one a line \
             under the content type application/x-ndjson"
        );
        check(body, Err(&message));
    }
}

#[test]
fn errors_name_the_byte() {
    for (body, expected) in [
        (r#"{"a" 1}"#, "invalid JSON at byte 5: expected `:`"),
        (
            r#"{"a":1 "b":2}"#,
            "invalid JSON at byte 7: expected `,` or `}`",
        ),
        (
            "{\n\"a\":1,\n\n\"b\":tru}",
            "invalid JSON at byte 17: expected `true`, `false` or `null`",
        ),
        (r#"{"a":1,}"#, "invalid JSON at byte 7: trailing comma"),
        ("{1:1}", "invalid JSON at byte 1: key must be a string"),
        (r#"{"a":01}"#, "invalid JSON at byte 6: invalid number"),
        (r#"{"a":"\x"}"#, "invalid JSON at byte 7: invalid escape"),
        (
            "{\"a\":\"\n\"}",
            "invalid JSON at byte 6: control character in a string",
        ),
        (
            "{\n\"\x01\":1}",
            "invalid JSON at byte 3: control character in a string",
        ),
        (r#"{"a":-}"#, "invalid JSON at byte 6: invalid number"),
        (
            r#"{"a":nul}"#,
            "invalid JSON at byte 8: expected `true`, `false` or `null`",
        ),
        (r#"{"a":[1}"#, "invalid JSON at byte 7: expected `,` or `]`"),
        (
            r#"{"envcustomerid":"acme"},"#,
            "invalid JSON at byte 24: only white space may follow",
        ),
        (
            "{\"envcustomerid\":\"acme\"}\n\0",
            "invalid JSON at byte 25: only white space may follow",
        ),
        (r#"{"a":1"#, "invalid JSON: cut off at byte 6"),
        ("{\n", "invalid JSON: cut off at byte 2"),
    ] {
        check(body, Err(expected));
    }
    check(b"{\"a\":\"\xe4\"}", Err("invalid UTF-8 at byte 6"));
    check(b"{\"a\":\"\xed\xa0\x80\"}", Err("invalid UTF-8 at byte 6"));
    check(b"{\"a\":\"\xc0\xaf\"}", Err("invalid UTF-8 at byte 6"));
    check(b"\xff\xfe{\0}\0", Err("invalid UTF-8 at byte 0"));
}

/// Values that no JSON text may contain.
const FORBIDDEN: [&str; 45] = [
    "",
    ",",
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "0x1",
    "NaN",
    "Infinity",
    "-",
    "- 1",
    "1 2",
    "tru",
    "True",
    "nullx",
    "'a'",
    r#""\'""#,
    r#""\u12""#,
    r#""\u12G4""#,
    r#""\u{1}""#,
    "\"\t\"",
    "\"\0\"",
    "\"\x1f\"",
    r#""a"#,
    "[1,]",
    "[,]",
    "[1 2]",
    "[",
    "]",
    "{",
    "}",
    "{]",
    "[}",
    r#"{"a"}"#,
    r#"{"a":}"#,
    r#"{"a":1,}"#,
    "{a:1}",
    "{1:1}",
    "/**/1",
    "1//",
    "\x0b1",
    "\u{a0}1",
    "\u{feff}1",
    "\0",
];

#[test]
fn text_that_rfc_8259_forbids_is_rejected() {
    let key_fields = KeyFields::from(&KEY[..]);
    for value in FORBIDDEN {
        let body = format!(r#"{{"envcustomerid":"acme","a":{value}}}"#);
        let found = parse(body.as_bytes(), &key_fields);
        assert_eq!(
            found,
            parse_by_text(body.as_bytes(), &key_fields),
            "{}",
            body.escape_debug()
        );
        assert!(
            matches!(
                found,
                Err(Malformed::Syntax { .. } | Malformed::Incomplete { .. })
            ),
            "{found:?}: {}",
            body.escape_debug()
        );
    }
}

#[test]
fn a_fault_in_the_grammar_comes_before_a_fault_of_a_field() {
    check(
        r#"{"envcustomerid":null,"a":}"#,
        Err("invalid JSON at byte 26: expected value"),
    );
}

#[test]
fn only_the_size_of_the_body_bounds_its_nesting() {
    const DEPTH: usize = 512 * 1024;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [100, 1023, 1024, 5000, DEPTH] {
            let (opened, closed) = (open.repeat(depth), close.repeat(depth));
            check(
                format!(r#"{{"a":{opened}1{closed},"envcustomerid":"acme"}}"#),
                Ok(("acme", None)),
            );
            let unclosed = format!(r#"{{"a":{opened}"#);
            let at = unclosed.len();
            check(
                unclosed,
                Err(&format!("invalid JSON: cut off at byte {at}")),
            );
        }
    }
    check("[".repeat(1024 * 1024), Err("a JSON object is expected"));
}
