//! The sessions of browsers: what they may do, how they end, and guesses at passwords.

use std::fs;

use iem_test_support::{AMPLE, Gateway, Home, basic, email, eventually};
use serde_json::Value;

use super::{
    FORM, ask, ask_with_body, cookie, csrf, guarded, log_in, post_form, roots_cookie, session,
};

const ROOT: &str = "root@iem.example";

#[test]
fn a_cookie_is_for_this_listener_and_no_script() {
    let gateway = guarded().start();
    let answer = log_in(&gateway, ROOT, "root-password").expect(303);
    assert_eq!(answer.header("location"), Some("/"));
    let set = answer.header("set-cookie").expect("a cookie");
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let id = pair.strip_prefix("iem-admin=").expect("its name");
    assert_eq!(id.len(), 64);
    let found = session(&gateway, pair).expect(200).json();
    assert_eq!(found["user"], ROOT);
    // Another service on the host may have set one of the same name.
    let among = format!("a=b; iem-admin=other; {pair}; iem-admin=");
    session(&gateway, &among).expect(200);
    session(&gateway, &format!("other-{pair}")).expect(401);
}

#[test]
fn a_log_out_needs_the_token_of_a_page() {
    let gateway = guarded().start();
    let cookie = roots_cookie(&gateway);
    let token = csrf(&gateway, &cookie);
    let others = csrf(&gateway, &roots_cookie(&gateway));
    let sent = |headers: &[(&str, &str)], fields: &[(&str, &str)]| {
        let headers = [&[("Cookie", &*cookie)], headers].concat();
        post_form(&gateway, "/logout", &headers, fields)
    };
    for fields in [&[][..], &[("csrf", "")], &[("csrf", &others)]] {
        sent(&[], fields).expect(403);
    }
    sent(&[], &[("csrf", &token), ("csrf", &token)]).expect(403);
    sent(&[("X-CSRF-Token", &others)], &[("csrf", &token)]).expect(403);
    for header in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        sent(&[header], &[("csrf", &token)]).expect(403);
    }
    session(&gateway, &cookie).expect(200);
    let answer = sent(&[("Sec-Fetch-Site", "same-origin")], &[("csrf", &token)]).expect(303);
    assert_eq!(answer.header("location"), Some("/login"));
    let ended = answer.header("set-cookie").expect("a cookie in its place");
    assert!(
        ended.starts_with("iem-admin=; ") && ended.ends_with("; Max-Age=0"),
        "{ended}"
    );
    session(&gateway, &cookie).expect(401);
    // Nobody is left who could be logged out.
    sent(&[], &[]).expect(303);
}

#[test]
fn a_header_carries_the_token_as_well_as_a_form() {
    let gateway = guarded().start();
    let cookie = roots_cookie(&gateway);
    let token = csrf(&gateway, &cookie);
    let headers = [("Cookie", &*cookie), ("X-CSRF-Token", &token)];
    post_form(&gateway, "/logout", &headers, &[]).expect(303);
    session(&gateway, &cookie).expect(401);
}

#[test]
fn a_page_of_another_site_logs_nobody_in() {
    let gateway = guarded().start();
    let fields = [("email", ROOT), ("password", "root-password")];
    for header in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"),
    ] {
        let answer = post_form(&gateway, "/login", &[header], &fields).expect(403);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let origin = ("Origin", "http://127.0.0.1");
    post_form(&gateway, "/login", &[origin], &fields).expect(303);
}

#[test]
fn only_a_small_form_is_taken() {
    let gateway = guarded().start();
    let sent = |kind: &str, body: &str| {
        let headers = [("Content-Type", kind)];
        ask_with_body(&gateway, "POST", "/login", &headers, body).status
    };
    assert_eq!(sent(FORM, &format!("email={}", "x".repeat(4090))), 401);
    assert_eq!(sent(FORM, &format!("email={}", "x".repeat(4091))), 413);
    assert_eq!(
        sent("application/x-www-form-urlencoded; charset=utf-8", ""),
        401
    );
    assert_eq!(sent("application/json", "{}"), 415);
    assert_eq!(sent("text/plain", "email=a"), 415);
    let encoded = [("Content-Type", FORM), ("Content-Encoding", "gzip")];
    ask_with_body(&gateway, "POST", "/login", &encoded, "email=a").expect(415);
}

/// Runs a command on the directory of the running gateway.
#[track_caller]
fn command(gateway: &Gateway, arguments: &[&str], input: &str) {
    let output = gateway.home.run_with_input(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    gateway.reload();
}

#[test]
fn a_session_ends_at_once_with_the_right_to_it() {
    let commands: [(&str, &[&str], &str); 4] = [
        ("disabled", &["user", "disable", ROOT], ""),
        ("removed", &["user", "remove", ROOT], ""),
        (
            "another password",
            &["user", "passwd", ROOT, "--password-stdin"],
            "another password of root\n",
        ),
        ("logged out", &["user", "logout", ROOT], ""),
    ];
    for (cause, arguments, input) in commands {
        let gateway = guarded().start();
        let cookie = roots_cookie(&gateway);
        session(&gateway, &cookie).expect(200);
        command(&gateway, arguments, input);
        session(&gateway, &cookie).expect(401);
        let metrics = ask(&gateway, "GET", "/metrics", &[("Cookie", &cookie)]);
        assert_eq!(metrics.status, 401, "{cause}");
    }
    let gateway = guarded().start();
    let cookie = roots_cookie(&gateway);
    let token = format!("Bearer {}", gateway.token("root"));
    let demoted = |text: String| text.replace("superadmin = true", "superadmin = false");
    let home = gateway.home.clone().edit_directory(demoted);
    gateway.reload();
    session(&gateway, &cookie).expect(401);
    ask(&gateway, "GET", "/metrics", &[("Authorization", &token)]).expect(403);
    // The session has ended, and is not there again.
    home.edit_directory(|text| text.replacen("superadmin = false", "superadmin = true", 4));
    gateway.reload();
    session(&gateway, &cookie).expect(401);
}

#[test]
fn a_user_who_was_disabled_for_a_moment_has_to_log_in_again() {
    let gateway = guarded().start();
    let cookie = roots_cookie(&gateway);
    command(&gateway, &["user", "disable", ROOT], "");
    command(&gateway, &["user", "enable", ROOT], "");
    session(&gateway, &cookie).expect(401);
    session(&gateway, &roots_cookie(&gateway)).expect(200);
}

#[test]
fn a_browser_that_logs_in_again_has_one_session() {
    let gateway = guarded().start();
    let old = roots_cookie(&gateway);
    let fields = [("email", ROOT), ("password", "root-password")];
    let answer = post_form(&gateway, "/login", &[("Cookie", &old)], &fields).expect(303);
    session(&gateway, &old).expect(401);
    session(&gateway, &cookie(&answer)).expect(200);
}

#[test]
fn guesses_are_limited_here_and_at_the_api_together() {
    let gateway = guarded().set("login.failures_per_user", 3).start();
    let wrong = basic(format!("{ROOT}:wrong"));
    gateway.log_in(ROOT, "wrong").expect(401);
    log_in(&gateway, ROOT, "wrong").expect(401);
    ask(&gateway, "GET", "/metrics", &[("Authorization", &wrong)]).expect(401);
    let answer = log_in(&gateway, ROOT, "root-password").expect(429);
    assert!(answer.text().contains("Too many failed attempts."));
    answer.says_when_to_retry();
    let right = basic(format!("{ROOT}:root-password"));
    ask(&gateway, "GET", "/metrics", &[("Authorization", &right)])
        .expect(429)
        .says_when_to_retry();
    // Another user is not kept out.
    let alice = basic(format!("{}:alice-password", email("alice")));
    ask(&gateway, "GET", "/metrics", &[("Authorization", &alice)]).expect(403);
}

/// Waits for an entry of the audit log with these fields.
#[track_caller]
fn await_entry(gateway: &Gateway, fields: &[(&str, &str)]) {
    eventually(AMPLE, &format!("{fields:?}"), || {
        let text = fs::read_to_string(gateway.home.path("audit.log")).unwrap_or_default();
        let mut entries = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.any(|entry| fields.iter().all(|(name, value)| entry[name] == *value))
    });
}

#[test]
fn log_ins_are_in_the_audit_log_and_no_secret_is_in_any() {
    let home = guarded()
        .set("logging.level", "trace")
        .set("audit.path", "audit.log");
    let gateway = home.spawn();
    let answer = log_in(&gateway, ROOT, "root-password").expect(303);
    let id = answer.header("x-request-id").expect("an id");
    let accepted = [("event", "log_in"), ("outcome", "accepted"), ("user", ROOT)];
    await_entry(&gateway, &[&accepted[..], &[("request", id)]].concat());
    log_in(&gateway, ROOT, "a-wrong-password").expect(401);
    let refused = [("outcome", "wrong credentials"), ("user", ROOT)];
    await_entry(&gateway, &refused);
    log_in(&gateway, "typed-in-the-wrong-place", "x").expect(401);
    let alice = email("alice");
    log_in(&gateway, alice, "alice-password").expect(403);
    let refused = [
        ("event", "refused"),
        ("endpoint", "admin"),
        ("reason", "no superadmin"),
        ("user", alice),
    ];
    await_entry(&gateway, &refused);
    let cookie = cookie(&answer);
    let token = csrf(&gateway, &cookie);
    let audit = fs::read_to_string(gateway.home.path("audit.log")).expect("the audit log");
    for text in [gateway.log(), audit] {
        for secret in [
            "root-password",
            "a-wrong-password",
            "alice-password",
            "typed-in-the-wrong-place",
            cookie.split_once('=').expect("a pair").1,
            &token,
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn a_local_change_needs_the_token_of_a_local_page() {
    // Nobody has logged in, so there is nothing to end; what another site causes is refused.
    let gateway = Home::new().start();
    let headers = [("Sec-Fetch-Site", "cross-site")];
    post_form(&gateway, "/logout", &headers, &[]).expect(403);
    post_form(&gateway, "/logout", &[], &[]).expect(303);
}
