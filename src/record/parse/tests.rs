mod grammar;

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
fn the_customer_is_a_string_or_digits_in_either_spelling() {
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
fn a_customer_of_another_type_is_rejected() {
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
fn a_record_without_a_customer_is_rejected() {
    let expected =
        "the customer is missing: neither `envcustomerid` nor `envcustomer_id` is in the record";
    for body in [
        "{}",
        r#"{"a":{"envcustomerid":"acme"}}"#,
        r#"{"a":[{"envcustomerid":"acme"}],"b":"envcustomerid"}"#,
        r#"{"envcustomeri":"acme","envcustomerid ":"acme","envcustomerid\u0000":"acme"}"#,
        r#"{"\"envcustomerid":"acme","":"envcustomerid","envcustomerid\ud800":"acme"}"#,
    ] {
        check(body, Err(expected));
    }
}

#[test]
fn a_name_like_the_customer_fields_is_rejected_beside_it_and_alone() {
    let expected =
        "a field is named like `envcustomerid` or `envcustomer_id`, but in other letters";
    for name in [
        "EnvCustomerId",
        "ENVCUSTOMER_ID",
        "envcuſtomerid",
        r"envcu\u017ftomerid",
        r"\u0045nvcustomerid",
    ] {
        for value in [r#""acme""#, "null", "[]"] {
            check(format!(r#"{{"{name}":{value}}}"#), Err(expected));
            check(
                format!(r#"{{"envcustomerid":"acme","{name}":{value}}}"#),
                Err(expected),
            );
            check(
                format!(r#"{{"{name}":{value},"envcustomerid":"acme"}}"#),
                Err(expected),
            );
        }
        let below = format!(r#"{{"envcustomerid":"acme","a":{{"{name}":"globex"}}}}"#);
        check(below, Ok(("acme", None)));
    }
}

#[test]
fn one_spelling_twice_is_rejected_even_with_equal_values() {
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
fn both_spellings_must_agree() {
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
fn the_key_is_the_first_field_with_a_string_or_a_number() {
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
fn the_last_of_a_repeated_key_field_counts() {
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
fn a_value_that_is_not_an_object_is_rejected() {
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
fn both_ways_read_long_bodies_alike() {
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
fn a_rejected_body_does_not_affect_the_next_one() {
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
fn messages_are_short_and_contain_nothing_of_the_record() {
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
fn one_byte_order_mark_is_removed() {
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
