use super::*;

const KEY: [&str; 2] = ["splitby", "entityid"];

/// Reads `body` by both ways, which must agree, and compares the customer and the key's value, or
/// the message.
#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: Result<(&str, Option<&str>), &str>) {
    let (body, key_fields) = (body.as_ref(), KeyFields::from(&KEY[..]));
    let found = parse(body, &key_fields);
    assert_eq!(
        found,
        parse_by_text(body, &key_fields),
        "{}",
        body.escape_ascii()
    );
    let found = found.map_err(|error| error.to_string());
    match (&found, expected) {
        (Ok(parsed), Ok(expected)) => {
            assert_eq!(
                (parsed.customer(), parsed.key_value()),
                expected,
                "{}",
                body.escape_ascii()
            );
        }
        (Err(message), Err(expected)) => assert_eq!(message, expected, "{}", body.escape_ascii()),
        _ => panic!("{found:?}, expected {expected:?}: {}", body.escape_ascii()),
    }
}

#[test]
fn customer_is_a_string_or_digits_in_either_spelling() {
    let long = "9".repeat(400);
    for field in customer::FIELDS {
        for (value, expected) in [
            (r#""acme""#, "acme"),
            (r#""\u0061cm\u0065""#, "acme"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""Größe 1""#, "Größe 1"),
            (r#"" ""#, " "),
            (r#""1001""#, "1001"),
            ("1001", "1001"),
            ("0", "0"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709551616"),
            (&long, &long),
        ] {
            check(
                format!(r#"{{"a":1,"{field}":{value}}}"#),
                Ok((expected, None)),
            );
        }
    }
}

#[test]
fn customer_is_nothing_else() {
    for field in customer::FIELDS {
        let expected =
            format!("`{field}` must be a non-empty string or an integer of digits alone");
        for value in [
            "null",
            "true",
            "false",
            r#""""#,
            "[]",
            r#"["acme"]"#,
            "{}",
            r#"{"id":"acme"}"#,
            "-5",
            "-0",
            "1001.0",
            "1e3",
            "1E3",
            "1e400",
            "-18446744073709551616",
            r#""\ud800""#,
            r#""acme\udc00""#,
            r#""\ud800\ud800""#,
        ] {
            check(
                format!(r#"{{"{field}":{value},"splitby":"a"}}"#),
                Err(&expected),
            );
        }
    }
}

#[test]
fn customer_is_there() {
    let expected =
        "the customer is missing: neither `envcustomerid` nor `envcustomer_id` is in the record";
    for body in [
        "{}",
        r#"{"a":{"envcustomerid":"acme"}}"#,
        r#"{"a":[{"envcustomerid":"acme"}],"b":"envcustomerid"}"#,
        r#"{"Envcustomerid":"acme","envcustomeri":"acme","envcustomerid ":"acme","envcustomerid\u0000":"acme"}"#,
        r#"{"\"envcustomerid":"acme","":"envcustomerid","envcustomerid\ud800":"acme"}"#,
    ] {
        check(body, Err(expected));
    }
}

#[test]
fn one_spelling_twice_is_refused_even_if_equal() {
    for field in customer::FIELDS {
        let expected = format!("`{field}` is in the record more than once");
        let escaped = field.replacen('c', r"\u0063", 1);
        let all_escaped = field
            .bytes()
            .fold(String::new(), |name, byte| name + &format!("\\u{byte:04X}"));
        for other in [field, &escaped, &all_escaped] {
            for value in [r#""acme""#, r#""other""#, "null", "1.5", r#"{"a":[1,{}]}"#] {
                check(
                    format!(r#"{{"{field}":"acme","a":[{{}}],"{other}":{value}}}"#),
                    Err(&expected),
                );
                check(
                    format!(r#"{{"{other}":{value},"{field}":"acme"}}"#),
                    Err(&expected),
                );
            }
        }
    }
}

#[test]
fn both_spellings_agree_or_are_refused() {
    check(
        r#"{"envcustomerid":"1001","envcustomer_id":1001}"#,
        Ok(("1001", None)),
    );
    check(
        r#"{"envcustomer_id":"acme","envcustomerid":"\u0061cme"}"#,
        Ok(("acme", None)),
    );
    let differ = "`envcustomerid` and `envcustomer_id` differ";
    check(
        r#"{"envcustomerid":"acme","envcustomer_id":"Acme"}"#,
        Err(differ),
    );
    check(r#"{"envcustomerid":"01","envcustomer_id":1}"#, Err(differ));
    let invalid = "`envcustomer_id` must be a non-empty string or an integer of digits alone";
    check(
        r#"{"envcustomerid":"acme","envcustomer_id":null}"#,
        Err(invalid),
    );
}

#[test]
fn key_is_the_first_field_with_a_string_or_a_number() {
    for (fields, expected) in [
        (r#""splitby":"a","entityid":"b""#, Some("a")),
        (r#""entityid":"b","splitby":"a""#, Some("a")),
        (r#""splitby":"","entityid":"b""#, Some("b")),
        (r#""splitby":null,"entityid":"b""#, Some("b")),
        (r#""splitby":["a"],"entityid":"b""#, Some("b")),
        (r#""splitby":{"splitby":"a"},"entityid":"b""#, Some("b")),
        (r#""splitby":true,"entityid":0"#, Some("0")),
        (r#""splitby":"\ud800","entityid":"b""#, Some("b")),
        (r#""splitby":1.50"#, Some("1.50")),
        (r#""splitby":-0"#, Some("-0")),
        (r#""splitby":-12"#, Some("-12")),
        (r#""splitby":1E+400"#, Some("1E+400")),
        (
            r#""splitby":184467440737095516150000"#,
            Some("184467440737095516150000"),
        ),
        (r#""splitby":"\u00e4/\n""#, Some("ä/\n")),
        (r#""split\u0062y":"a""#, Some("a")),
        (r#""splitby":false"#, None),
        (r#""a":{"splitby":"a","entityid":"b"}"#, None),
    ] {
        check(
            format!(r#"{{{fields},"envcustomerid":"acme"}}"#),
            Ok(("acme", expected)),
        );
    }
}

#[test]
fn of_a_key_field_given_twice_the_last_counts() {
    for (fields, expected) in [
        (r#""splitby":"a","splitby":"b""#, Some("b")),
        (r#""splitby":1.50,"splitby":"b""#, Some("b")),
        (r#""splitby":"a","splitb\u0079":2.0"#, Some("2.0")),
        (r#""splitby":"a","entityid":"c","splitby":null"#, Some("c")),
    ] {
        check(
            format!(r#"{{{fields},"envcustomerid":"acme"}}"#),
            Ok(("acme", expected)),
        );
    }
}

#[test]
fn a_customer_field_may_be_a_key_field() {
    let key_fields = KeyFields::from_iter(["envcustomerid"]);
    let parsed = parse(br#"{"envcustomerid":"acme"}"#, &key_fields).expect("valid");
    assert_eq!(&*parsed.into_key(), "acme/acme");
    assert_eq!(KeyFields::from_iter([""; 0]).names().count(), 0);
    let parsed = parse(
        br#"{"envcustomerid":"acme"}"#,
        &KeyFields::from_iter([""; 0]),
    )
    .expect("valid");
    assert_eq!(&*parsed.into_key(), "acme");
}

#[test]
fn what_rfc_8259_allows_passes() {
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
fn what_is_no_object_is_refused() {
    for body in ["", " ", "\r\n\t\n"] {
        check(body, Err("the body is empty; a JSON object is expected"));
    }
    for body in [
        "[]",
        r#"[{"envcustomerid":"acme"}]"#,
        r#""acme""#,
        "1",
        "-1.5",
        "null",
        "x",
        "<a/>",
        "\0",
        "\u{feff}{}",
    ] {
        check(body, Err("a JSON object is expected"));
    }
}

#[test]
fn several_values_are_told_of_ndjson() {
    let message = |at| {
        format!(
            "a second JSON value at byte {at}; send several records as one array, or one a line under the content \
             type application/x-ndjson"
        )
    };
    let one = r#"{"envcustomerid":"acme"}"#;
    check(format!("{one}\n{one}\n"), Err(&message(25)));
    check(format!("{one}{one}"), Err(&message(24)));
    check(format!("\n{one}\r\n\r\n{one}{one}"), Err(&message(29)));
    check(format!("{{}}[{one}]"), Err(&message(2)));
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

#[test]
fn what_rfc_8259_forbids_is_refused() {
    let key_fields = KeyFields::from(&KEY[..]);
    for value in [
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
    ] {
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
fn grammar_is_judged_before_fields() {
    check(
        r#"{"envcustomerid":null,"a":}"#,
        Err("invalid JSON at byte 26: expected value"),
    );
}

#[test]
fn nesting_is_bounded_by_the_body_alone() {
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

#[test]
fn long_bodies_are_read_alike() {
    for len in (65_400..65_700).chain([1024 * 1024]) {
        let filler = "x".repeat(len);
        check(
            format!(r#"{{"envcustomerid":"acme","a":"{filler}","splitby":7}}"#),
            Ok(("acme", Some("7"))),
        );
    }
    let fields = r#""a":1,"#.repeat(200_000);
    check(
        format!(r#"{{{fields}"envcustomerid":"acme"}}"#),
        Ok(("acme", None)),
    );
}

#[test]
fn a_refused_body_leaves_nothing_behind() {
    let key_fields = KeyFields::from(&KEY[..]);
    for _ in 0..3 {
        check(
            r#"{"envcustomerid":"first","splitby":"first""#,
            Err("invalid JSON: cut off at byte 42"),
        );
        check(r#"{"envcustomerid":"second"}"#, Ok(("second", None)));
        assert_eq!(parse(b"{}", &key_fields), Err(Malformed::CustomerMissing));
    }
}

#[test]
fn messages_fit_what_clients_keep_and_echo_nothing() {
    let secret = "hunter2";
    for body in [
        format!(r#"{{"{secret}":"{secret}" {secret}}}"#),
        format!(r#"{{"envcustomerid":["{secret}"]}}"#),
        format!(r#"{{"envcustomerid":"{secret}","envcustomer_id":"other"}}"#),
        format!(r#"{{"a":{secret}}}"#),
        secret.to_owned(),
    ] {
        let error = parse(body.as_bytes(), &KeyFields::from(&KEY[..])).expect_err("not a record");
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(secret) && text.len() <= 256, "{text}");
        }
    }
}

#[test]
fn one_byte_order_mark_is_taken_off() {
    let taken = |body: &'static str| without_bom(Bytes::from_static(body.as_bytes()));
    assert_eq!(taken("\u{feff}{}"), "{}");
    assert_eq!(taken("\u{feff}\u{feff}{}"), "\u{feff}{}");
    assert_eq!(taken("{}\u{feff}"), "{}\u{feff}");
    assert_eq!(taken(""), "");
    assert_eq!(
        without_bom(Bytes::from_static(b"\xef\xbb")),
        &b"\xef\xbb"[..]
    );
}
