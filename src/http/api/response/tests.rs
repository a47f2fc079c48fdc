use super::*;

#[test]
fn the_canned_answer_says_its_length() {
    let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).expect("it is ASCII");
    let (head, body) = text
        .split_once("\r\n\r\n")
        .expect("it has a head and a body");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{head}"
    );
}

#[test]
fn a_wait_is_rounded_up_and_never_0() {
    let check = |wait: Duration, expected: &str| {
        let answer = Rejection::TooManyAttempts { retry_after: wait }.into_answer(Endpoint::Token);
        assert_eq!(answer.headers()[RETRY_AFTER], expected, "{wait:?}");
    };
    check(Duration::ZERO, "1");
    check(Duration::from_millis(1_001), "2");
    check(Duration::from_secs(6), "6");
}
