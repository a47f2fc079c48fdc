#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn version(number: u32) -> PasswordVersion {
    format!("{number:032x}").try_into().unwrap()
}

fn alice() -> Arc<str> {
    "alice@example.com".into()
}

fn begun(ms: u64) -> Session {
    Session::begin(UNIX_EPOCH + Duration::from_millis(ms))
}

fn has(ended: &Ended, password: u32, session: &Session) -> bool {
    ended.contains(&alice(), version(password), session)
}

fn again(ended: &Ended) -> Ended {
    Ended::parse(&ended.to_text(), Path::new("ended")).unwrap()
}

#[test]
fn the_end_of_all_sessions_takes_in_those_begun_until_then_with_that_password() {
    let mut ended = Ended::default();
    assert!(!has(&ended, 1, &begun(0)));
    ended.end_all(&alice(), version(1), 1_000);
    for ended in [&ended, &again(&ended)] {
        assert!(has(ended, 1, &begun(0)) && has(ended, 1, &begun(1_000)));
        assert!(!has(ended, 1, &begun(1_001)), "begun after it");
        assert!(!has(ended, 2, &begun(0)), "with another password");
        assert!(!ended.contains("bob@example.com", version(1), &begun(0)));
    }
    ended.end_all(&alice(), version(1), 500);
    assert!(has(&ended, 1, &begun(1_000)), "what ended stays so");
}

#[test]
fn an_end_takes_in_sessions_that_began_after_an_end_by_a_clock_that_is_ahead() {
    let mut ended = Ended::default();
    ended.end_all(&alice(), version(1), 1_000_000);
    let session = begun(ended.until(&alice(), version(1)).unwrap() + 1);
    assert!(!has(&ended, 1, &session));
    ended.end_all(&alice(), version(1), 5);
    assert!(has(&ended, 1, &session));
}

#[test]
fn the_end_of_one_session_leaves_the_others() {
    let mut ended = Ended::default();
    let (one, other) = (begun(5), begun(5));
    ended.end_one(&alice(), version(1), one.id.unwrap(), 10);
    for ended in [&ended, &again(&ended)] {
        assert!(has(ended, 1, &one) && !has(ended, 1, &other));
    }
}

#[test]
fn a_user_who_ends_many_sessions_takes_a_bounded_place_and_revives_none() {
    let mut ended = Ended::default();
    let sessions: Vec<_> = (0..1_000).map(begun).collect();
    for session in &sessions {
        ended.end_one(&alice(), version(1), session.id.unwrap(), session.begun_ms);
        assert!(ended.0[&alice()].single.len() <= SINGLE_SESSIONS_MAX);
    }
    assert!(sessions.iter().all(|session| has(&ended, 1, session)));
    assert!(!has(&ended, 1, &begun(1_000)));
}

#[test]
fn too_many_sessions_of_all_users_end_those_of_the_users_who_ended_most() {
    let mut ended = Ended::default();
    let sessions: Vec<_> = (0..6).map(begun).collect();
    for session in &sessions[..5] {
        ended.end_one(&alice(), version(1), session.id.unwrap(), 10);
    }
    let bob = Arc::from("bob@example.com");
    ended.end_one(&bob, version(1), sessions[5].id.unwrap(), 10);
    ended.keep_bound(6);
    assert_eq!(ended.0[&alice()].single.len(), 5);
    ended.keep_bound(5);
    assert!(sessions[..5].iter().all(|session| has(&ended, 1, session)));
    assert!(has(&ended, 1, &begun(10)), "all that began until then");
    assert!(ended.contains(&bob, version(1), &sessions[5]));
    assert!(
        !ended.contains(&bob, version(1), &begun(5)),
        "not bob's others"
    );
}

#[test]
fn a_merge_loses_nothing_and_tells_whether_it_adds() {
    let sessions: Vec<_> = (0..60).map(begun).collect();
    let parts = sessions.chunks(15).map(|chunk| {
        let mut part = Ended::default();
        for session in chunk {
            part.end_one(&alice(), version(1), session.id.unwrap(), 100);
        }
        part.end_all(&alice(), version(2), chunk[0].begun_ms);
        part
    });
    let mut all = Ended::default();
    for part in parts {
        assert!(all.merge(&part));
        assert!(!all.merge(&part), "the second time it adds nothing");
    }
    assert!(sessions.iter().all(|session| has(&all, 1, session)));
    assert_eq!(all.until(&alice(), version(2)), Some(45));
    assert!(all.0[&alice()].single.len() <= SINGLE_SESSIONS_MAX);
}

#[test]
fn a_merge_of_a_session_that_ended_twice_has_nothing_left_to_add() {
    let session = begun(5);
    let [mut one, mut other] = [Ended::default(), Ended::default()];
    one.end_one(&alice(), version(1), session.id.unwrap(), 10);
    other.end_all(&alice(), version(1), 20);
    other.end_one(&alice(), version(1), session.id.unwrap(), 30);
    assert!(one.merge(&other));
    assert!(!one.merge(&other));
}

#[test]
fn an_entry_goes_once_every_token_of_its_sessions_has_expired() {
    let kept_ms = u64::try_from(REFRESH_LIFETIME_MAX.as_millis()).unwrap();
    let mut ended = Ended::default();
    let session = begun(5);
    ended.end_all(&alice(), version(1), 1_000);
    ended.end_one(&alice(), version(2), session.id.unwrap(), 2_000);
    ended.prune(kept_ms + 999);
    assert!(has(&ended, 1, &session) && has(&ended, 2, &session));
    ended.prune(kept_ms + 1_000);
    assert!(has(&ended, 2, &session) && ended.until(&alice(), version(1)).is_none());
    ended.prune(kept_ms + 2_000);
    assert_eq!(ended, Ended::default());
}

#[test]
fn the_ends_of_many_passwords_are_bounded_and_the_newest_stay() {
    let mut ended = Ended::default();
    for number in 0..100 {
        ended.end_all(&alice(), version(number), u64::from(number));
    }
    assert_eq!(ended.0[&alice()].passwords.len(), PASSWORDS_MAX);
    assert!(has(&ended, 99, &begun(0)) && has(&ended, 84, &begun(0)));
}

#[test]
fn a_text_of_something_else_is_refused_with_its_place() {
    let check = |text: &str, expected: &str| {
        let error = Ended::parse(text, Path::new("ended")).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("nothing", "line 1");
    check("[[user]]\nemail = 1", "line 2");
    check("[[customer]]\nid = \"a\"", "line 1");
    let entry = |version: &str, until: &str| {
        format!("[[user]]\nemail = \"a\"\npassword_version = \"{version}\"\nuntil_ms = {until}\n")
    };
    check(&entry("x", "1"), "is not hexadecimal");
    check(&entry("1", "-1"), "line 4");
    assert_eq!(
        Ended::parse("", Path::new("ended")).unwrap(),
        Ended::default()
    );
}
