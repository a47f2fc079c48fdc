use super::*;

const ACME: &str = r#"{"envcustomerid":"acme"}"#;

fn read(body: &str, form: Form, max: usize) -> Result<ParsedBody, BodyFault> {
    let key_fields = KeyFields::from_iter(["splitby"]);
    parse_body(
        &Bytes::copy_from_slice(body.as_bytes()),
        form,
        &key_fields,
        max,
    )
}

/// Compares the records' bytes.
#[track_caller]
fn check(body: &str, form: Form, expected: &[&str]) {
    let found = read(body, form, 100).unwrap_or_else(|fault| panic!("{fault:?}: {body}"));
    let data: Vec<_> = found
        .records
        .iter()
        .map(|record| &record.data[..])
        .collect();
    let expected: Vec<_> = expected.iter().map(|record| record.as_bytes()).collect();
    assert_eq!(data, expected, "{body}");
}

/// Compares the index of the record and the message.
#[track_caller]
fn check_fault(body: &str, form: Form, index: Option<usize>, message: &str) {
    let fault = read(body, form, 100).expect_err(body);
    assert_eq!(fault.to_string(), message, "{body}");
    assert!(
        matches!(fault, BodyFault::Malformed { record, .. } if record == index),
        "{fault:?}: {body}"
    );
}

#[test]
fn one_object_is_the_whole_body() {
    let body = format!(" {ACME}\n");
    check(&body, Form::Json, &[&body]);
    assert!(!read(&body, Form::Json, 1).expect("a record").indexed);
    check_fault(
        "",
        Form::Json,
        None,
        "the body is empty; a JSON object is expected",
    );
    check_fault("5", Form::Json, None, "a JSON object is expected");
    // A form feed is no white space of JSON.
    check_fault(
        &format!("\u{c}[{ACME}]"),
        Form::Json,
        None,
        "a JSON object is expected",
    );
    check_fault(
        "{\n5",
        Form::Json,
        None,
        "invalid JSON at byte 2: key must be a string",
    );
}

#[test]
fn a_trailing_comma_has_the_same_message_by_both_ways() {
    let message = "invalid JSON at byte 21: trailing comma";
    for behind in ["", ",", "x", ",{}", "[[\\"] {
        check_fault(
            &format!("[{{\"envcustomerid\":1,\r}}{behind}]"),
            Form::Json,
            Some(0),
            message,
        );
    }
    check_fault(
        "{\"envcustomerid\":1,\r}",
        Form::Json,
        None,
        "invalid JSON at byte 20: trailing comma",
    );
}

#[test]
fn elements_of_an_array_are_slices_of_it() {
    let nested = r#"{"envcustomer_id":1,"a":[{"b":"]},{"},"\\",["\\\""]]}"#;
    let spaced = "{ \"envcustomerid\" :\r\n\t\"acme\" }";
    check(&format!("[{ACME}]"), Form::Json, &[ACME]);
    check(
        &format!("[{ACME},{nested},{ACME}]"),
        Form::Json,
        &[ACME, nested, ACME],
    );
    check(
        &format!(" \n[\t{spaced}\r\n,\n\n{nested} ] \n"),
        Form::Json,
        &[spaced, nested],
    );
    assert!(
        read(&format!("[{ACME}]"), Form::Json, 1)
            .expect("a record")
            .indexed
    );
}

#[test]
fn brackets_in_strings_are_not_structure_at_any_offset() {
    for padding in 0..130 {
        let text = format!("{}{}", "x".repeat(padding), r#"\\\"]}],[{\\\\"#);
        let record = format!(r#"{{"envcustomerid":"acme","a":"{text}","b":["{text}",{{}}]}}"#);
        check(
            &format!("[{record},{ACME},{record}]"),
            Form::Json,
            &[&record, ACME, &record],
        );
        let backslashes = format!(
            r#"{{"envcustomerid":"acme","a":"{}"}}"#,
            r"\\".repeat(padding)
        );
        check(
            &format!("[{backslashes},{ACME}]"),
            Form::Json,
            &[&backslashes, ACME],
        );
    }
}

#[test]
fn lines_are_records() {
    let spaced = "{ \"envcustomerid\" : \"acme\" }";
    for body in [
        format!("{ACME}\n{spaced}\n"),
        format!("{ACME}\n{spaced}"),
        format!("{ACME}\r\n{spaced}\r\n"),
        format!("\n\r\n \t\r\n  {ACME}\t\n\n{spaced} \n \n\n"),
    ] {
        check(&body, Form::Lines, &[ACME, spaced]);
    }
    assert!(read(ACME, Form::Lines, 1).expect("a record").indexed);
}

#[test]
fn a_body_without_a_record_is_rejected() {
    for body in ["[]", " [ \n ] "] {
        check_fault(body, Form::Json, None, "the body holds no record");
    }
    for body in ["", "\n", " \r\n\t\n"] {
        check_fault(body, Form::Lines, None, "the body holds no record");
    }
}

#[test]
fn the_first_bad_record_is_named() {
    let not_an_object = "a JSON object is expected";
    let missing =
        "the customer is missing: neither `envcustomerid` nor `envcustomer_id` is in the record";
    for (value, message) in [
        ("5", not_an_object),
        ("[{}]", not_an_object),
        ("null", not_an_object),
        ("{}", missing),
    ] {
        check_fault(
            &format!("[{ACME},{ACME},{value},[],{{}}]"),
            Form::Json,
            Some(2),
            message,
        );
        check_fault(&format!("[{value},{ACME}]"), Form::Json, Some(0), message);
        check_fault(
            &format!("\n{ACME}\n\n{ACME}\r\n \n{value}\n7\n"),
            Form::Lines,
            Some(2),
            message,
        );
    }
}

#[test]
fn a_fault_in_the_grammar_comes_before_a_bad_record() {
    for (rest, index, message) in [
        (
            r#"{"a" 1}]"#,
            Some(2),
            "invalid JSON at byte 33: expected `:`",
        ),
        (
            r#"{"a":1]]"#,
            Some(2),
            "invalid JSON at byte 34: expected `,` or `}`",
        ),
        (
            "tru]",
            Some(2),
            "invalid JSON at byte 31: expected `true`, `false` or `null`",
        ),
        ("}]", Some(2), "invalid JSON at byte 28: expected value"),
        ("]", Some(2), "invalid JSON at byte 28: trailing comma"),
        (",{}]", Some(2), "invalid JSON at byte 28: expected value"),
        (
            "{} {}]",
            Some(3),
            "invalid JSON at byte 31: expected `,` or `]`",
        ),
        (
            "{}}",
            Some(3),
            "invalid JSON at byte 30: expected `,` or `]`",
        ),
        ("{}", Some(3), "invalid JSON: cut off at byte 30"),
        (r#"{"a":"]"#, Some(2), "invalid JSON: cut off at byte 35"),
        (
            "{}]x",
            None,
            "invalid JSON at byte 31: only white space may follow",
        ),
        (
            "{}][{}]",
            None,
            "a second JSON value at byte 31; send several records as one array, or one a line under the content type \
             application/x-ndjson",
        ),
    ] {
        check_fault(&format!("[{ACME},7,{rest}"), Form::Json, index, message);
        let records = format!("[{ACME},{}", rest.replace("{}", ACME));
        match read(&records, Form::Json, usize::MAX) {
            Err(BodyFault::Malformed { malformed, .. }) if malformed.is_of_syntax() => {}
            found => panic!("{found:?}: {records}"),
        }
    }
}

#[test]
fn a_fault_in_a_line_comes_before_a_bad_record() {
    check_fault(
        &format!("{{}}\n{ACME}\n{{\"a\":}}"),
        Form::Lines,
        Some(2),
        "invalid JSON at byte 33: expected value",
    );
    check_fault(
        &format!("5\n[1,]\n{ACME}"),
        Form::Lines,
        Some(1),
        "invalid JSON at byte 5: expected value",
    );
    check_fault(
        "{}\n{\n",
        Form::Lines,
        Some(1),
        "invalid JSON: cut off at byte 4",
    );
    check_fault(
        "{}\n{}{}\n",
        Form::Lines,
        Some(1),
        "a second JSON value at byte 5; send several records as one array, or one a line under the content type application/x-ndjson",
    );
    check_fault(
        "{}\n\u{c}{}",
        Form::Lines,
        Some(1),
        "invalid JSON at byte 3: expected value",
    );
}

#[test]
fn the_first_byte_that_is_not_utf_8_is_named() {
    let key_fields = KeyFields::from_iter(["splitby"]);
    for (body, record) in [
        (&b"[{},{\"a\":\"\xff\"}]"[..], Some(1)),
        (b"[{},5,\"\xff\xff\"]", Some(2)),
    ] {
        let fault =
            parse_body(&Bytes::from_static(body), Form::Json, &key_fields, 9).expect_err("no text");
        let at = body.iter().position(|byte| *byte == 0xff).expect("a byte");
        assert_eq!(
            fault,
            BodyFault::Malformed {
                record,
                malformed: Malformed::Encoding { at }
            }
        );
    }
}

#[test]
fn a_body_with_too_many_records_is_rejected() {
    for (form, body) in [
        (Form::Json, format!("[{ACME},{ACME},{ACME}]")),
        (Form::Json, format!("[{ACME},7,{ACME}]")),
        (Form::Json, "[7,7,7]".to_owned()),
        (Form::Lines, format!("{ACME}\n{ACME}\n{ACME}")),
    ] {
        assert_eq!(read(&body, form, 2), Err(BodyFault::TooMany), "{body}");
        assert_ne!(read(&body, form, 3), Err(BodyFault::TooMany), "{body}");
    }
}

#[test]
fn only_the_size_of_the_body_bounds_its_nesting() {
    const DEPTH: usize = 100_000;
    let deep = format!(
        r#"{{"envcustomerid":"acme","a":{}{}}}"#,
        "[".repeat(DEPTH),
        "]".repeat(DEPTH)
    );
    check(&format!("[{deep},{deep}]"), Form::Json, &[&deep, &deep]);
    check(&format!("{deep}\n{deep}"), Form::Lines, &[&deep, &deep]);
    let message = format!("invalid JSON: cut off at byte {DEPTH}");
    check_fault(&"[".repeat(DEPTH), Form::Json, Some(0), &message);
    check_fault(
        &format!("[{}", "]".repeat(DEPTH - 1)),
        Form::Json,
        None,
        "invalid JSON at byte 2: only white space may follow",
    );
}
