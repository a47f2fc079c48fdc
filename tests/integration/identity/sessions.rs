//! Sessions: a log-in begins one, a refresh never lengthens it, and it ends for good.

use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iem_test_support::{Answer, Gateway, Home, eventually, get, post};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

const REFRESH: &str = "/api/v1/user/token/refresh";
const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;
const WRONG_REFRESH: &str = r#"{"detail":"Invalid refresh token."}"#;

/// The contract says one second; a loaded machine may need more before that is anybody's fault.
const SOON: Duration = Duration::from_secs(5);

/// A pair of tokens.
struct Pair {
    access: String,
    refresh: String,
}

fn pair(answer: &Answer) -> Pair {
    Pair {
        access: answer.access_token(),
        refresh: answer.refresh_token(),
    }
}

fn log_in(gateway: &Gateway) -> Pair {
    pair(
        &gateway
            .log_in("alice@acme.example", "alice-password")
            .expect(200),
    )
}

fn refresh(gateway: &Gateway, token: &str) -> Answer {
    let body = format!(r#"{{"refresh_token":"{token}"}}"#);
    gateway.send(&post(REFRESH, body))
}

fn text_of(gateway: &Gateway, token: &str) -> String {
    let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#);
    gateway.send(&request.cookie(token)).text()
}

#[track_caller]
fn assert_goes_on(gateway: &Gateway, pair: &Pair) {
    assert_eq!(text_of(gateway, &pair.access), PUBLISHED);
    refresh(gateway, &pair.refresh).expect(200);
}

#[track_caller]
fn assert_ended(gateway: &Gateway, pair: &Pair) {
    assert_eq!(text_of(gateway, &pair.access), INVALID);
    refresh(gateway, &pair.refresh)
        .expect(401)
        .body_is(WRONG_REFRESH);
}

/// Starts another gateway on the same directory and keys, beside the first or after it.
fn another(home: &Home) -> Gateway {
    let folder = tempfile::tempdir_in(home.path(""))
        .expect("a folder")
        .keep();
    let path = folder.to_str().expect("a path in UTF-8");
    home.clone().set("sink.file.path", path).start()
}

#[track_caller]
fn command(home: &Home, arguments: &[&str], input: &str) {
    let output = home.run_with_input(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn a_refresh_token_that_was_used_ends_its_session_and_no_other() {
    let gateway = Home::new().start();
    let other = log_in(&gateway);
    let first = log_in(&gateway);
    let second = pair(&refresh(&gateway, &first.refresh).expect(200));
    let third = pair(&refresh(&gateway, &second.refresh).expect(200));
    for pair in [&first, &second, &third] {
        assert_eq!(text_of(&gateway, &pair.access), PUBLISHED);
    }
    // The thief's, or the owner's after the thief's.
    refresh(&gateway, &first.refresh)
        .expect(401)
        .body_is(WRONG_REFRESH);
    for pair in [&first, &second, &third] {
        assert_ended(&gateway, pair);
    }
    assert_goes_on(&gateway, &other);
    assert_goes_on(&gateway, &log_in(&gateway));
}

#[test]
fn an_access_token_of_an_ended_session_is_invalid_on_a_connection_that_has_used_it() {
    let gateway = Home::new().start();
    let first = log_in(&gateway);
    let second = pair(&refresh(&gateway, &first.refresh).expect(200));
    let third = pair(&refresh(&gateway, &second.refresh).expect(200));
    let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#).cookie(&third.access);
    let mut connection = gateway.connect();
    connection
        .send(request.bytes())
        .answer()
        .expect(200)
        .body_is(PUBLISHED);
    refresh(&gateway, &first.refresh).expect(401);
    connection
        .send(request.bytes())
        .answer()
        .expect(401)
        .body_is(INVALID);
}

#[test]
fn a_client_that_lost_an_answer_may_refresh_again_for_ten_seconds() {
    let gateway = Home::new().start();
    let first = log_in(&gateway);
    refresh(&gateway, &first.refresh).expect(200);
    let second = pair(&refresh(&gateway, &first.refresh).expect(200));
    assert_eq!(text_of(&gateway, &second.access), PUBLISHED);
    thread::sleep(Duration::from_millis(10_500));
    assert_eq!(text_of(&gateway, &second.access), PUBLISHED);
    refresh(&gateway, &first.refresh).expect(401);
    assert_ended(&gateway, &second);
}

#[test]
fn a_session_ends_so_long_after_its_log_in_however_often_it_is_refreshed() {
    let home = Home::new()
        .set("tokens.access_lifetime", "2s")
        .set("tokens.session_lifetime", "4s");
    let gateway = home.start();
    let mut last = log_in(&gateway);
    let mut refreshes = 0;
    eventually(SOON + SOON, "the session ends", || {
        let answer = refresh(&gateway, &last.refresh);
        if answer.status == 401 {
            return true;
        }
        last = pair(&answer.expect(200));
        refreshes += 1;
        thread::sleep(Duration::from_millis(300));
        false
    });
    assert!(refreshes > 5, "{refreshes} refreshes");
    assert_eq!(
        text_of(&gateway, &last.access),
        r#"{"message":"Access token has expired"}"#
    );
    log_in(&gateway);
}

#[test]
fn a_logout_ends_all_sessions_of_the_user_at_every_gateway_and_for_good() {
    let home = Home::new();
    let gateway = home.start();
    let other = another(&home);
    let sessions = [log_in(&gateway), log_in(&other)];
    let root = gateway.token("root");
    for pair in &sessions {
        assert_eq!(text_of(&other, &pair.access), PUBLISHED);
    }
    command(&home, &["user", "logout", "alice@acme.example"], "");
    for gateway in [&gateway, &other] {
        eventually(SOON, "the logout", || {
            sessions
                .iter()
                .all(|pair| text_of(gateway, &pair.access) == INVALID)
        });
        for pair in &sessions {
            assert_ended(gateway, pair);
        }
        assert_goes_on(gateway, &log_in(gateway));
        assert_eq!(text_of(gateway, &root), PUBLISHED);
    }
    drop((gateway, other));
    let started = another(&home);
    for pair in &sessions {
        assert_ended(&started, pair);
    }
    let output = home.run(&["user", "logout", "nobody@acme.example"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn sessions_stay_ended_when_a_user_is_enabled_again() {
    let home = Home::new();
    let gateway = home.start();
    let before = log_in(&gateway);
    command(&home, &["user", "disable", "alice@acme.example"], "");
    // The sessions may end a moment before the gateway sees that the user is disabled.
    let may_log_in = || {
        let answer = gateway.log_in("alice@acme.example", "alice-password");
        answer.status == 200
    };
    eventually(SOON, "the user is disabled", || !may_log_in());
    assert_ended(&gateway, &before);
    command(&home, &["user", "enable", "alice@acme.example"], "");
    eventually(SOON, "the user is enabled", may_log_in);
    assert_ended(&gateway, &before);
    assert_goes_on(&gateway, &log_in(&gateway));
}

#[test]
fn sessions_ended_while_no_gateway_ran_stay_so() {
    let home = Home::new();
    let before = log_in(&home.start());
    for state in ["disable", "enable"] {
        command(&home, &["user", state, "alice@acme.example"], "");
    }
    let gateway = another(&home);
    assert_ended(&gateway, &before);
    assert_goes_on(&gateway, &log_in(&gateway));
}

#[test]
fn a_user_disabled_by_an_editor_has_no_session_left_after_a_restart() {
    let home = Home::new();
    let gateway = home.start();
    let before = log_in(&gateway);
    let text = std::fs::read_to_string(home.path("directory.toml")).expect("the directory");
    // The first user is alice.
    let home = home.edit_directory(|text| text.replacen("enabled = true", "enabled = false", 1));
    eventually(SOON, "the user is disabled", || {
        text_of(&gateway, &before.access) == INVALID
    });
    let ended = home.path("directory.toml.ended");
    eventually(SOON, "the end is on the disk", || {
        std::fs::read_to_string(&ended).is_ok_and(|text| text.contains("alice@acme.example"))
    });
    let mode = std::fs::metadata(&ended)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    drop(gateway);
    home.write("directory.toml", text);
    let gateway = another(&home);
    assert_ended(&gateway, &before);
    assert_goes_on(&gateway, &log_in(&gateway));
}

#[test]
fn a_new_password_ends_all_sessions() {
    let home = Home::new();
    let gateway = home.start();
    let before = log_in(&gateway);
    let arguments = ["user", "passwd", "alice@acme.example", "--password-stdin"];
    command(&home, &arguments, "another-password-1\n");
    eventually(SOON, "the new password", || {
        let answer = gateway.log_in("alice@acme.example", "another-password-1");
        answer.status == 200
    });
    assert_ended(&gateway, &before);
}

#[test]
fn faulty_ended_sessions_refuse_a_start_and_are_told_while_running() {
    let home = Home::new();
    let gateway = home.start();
    let loaded = || gateway.metric("iem_gateway_directory_loaded", &[]) > 0.5;
    // A user of the tests' directory is disabled, so the start writes the file.
    let is_written = || home.path("directory.toml.ended").exists();
    eventually(SOON, "the file is written", is_written);
    assert!(loaded());
    home.write("directory.toml.ended", "no sessions");
    eventually(SOON, "the fault is told", || !loaded());
    assert_goes_on(&gateway, &log_in(&gateway));
    let check = home.run(&["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(text.contains("directory.toml.ended, line 1"), "{text}");
    assert_eq!(check.status.code(), Some(78));
    let mut refused = home.spawn_without_waiting();
    assert_eq!(refused.wait().code(), Some(78));
}

/// Signs a token's claims anew, as a version without sessions and key rings did.
fn as_before(home: &Home, token: &str) -> String {
    let claims = token.split('.').nth(1).expect("claims");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let mut claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    let members = claims.as_object_mut().expect("an object");
    members.retain(|name, _| ["sub", "iat", "exp", "jti", "use", "stamp"].contains(&&**name));
    let key = std::fs::read_to_string(home.path("token.key")).expect("the key");
    let digits: Vec<char> = key.trim().chars().collect();
    let bytes = digits.chunks(2).map(|pair| {
        let text = String::from_iter(pair);
        u8::from_str_radix(&text, 16).expect("hexadecimal")
    });
    let key = EncodingKey::from_secret(&bytes.collect::<Vec<u8>>());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token")
}

#[test]
fn a_token_of_an_earlier_version_holds_until_it_expires_or_its_user_is_logged_out() {
    let home = Home::new();
    let gateway = home.start();
    let now = log_in(&gateway);
    let before = Pair {
        access: as_before(&home, &now.access),
        refresh: as_before(&home, &now.refresh),
    };
    for _ in 0..2 {
        assert_goes_on(&gateway, &before);
    }
    let next = pair(&refresh(&gateway, &before.refresh).expect(200));
    assert_goes_on(&gateway, &next);
    // An `iat` is in whole seconds.
    thread::sleep(Duration::from_millis(1_100));
    command(&home, &["user", "logout", "alice@acme.example"], "");
    eventually(SOON, "the logout", || {
        text_of(&gateway, &before.access) == INVALID
    });
    for pair in [&now, &before, &next] {
        assert_ended(&gateway, pair);
    }
}

#[test]
fn a_refresh_takes_a_small_plain_body_alone() {
    let gateway = Home::new().start();
    let token = log_in(&gateway).refresh;
    let body = |length: usize| {
        let text = format!(r#"{{"refresh_token":"{token}"}}"#);
        text.clone() + &" ".repeat(length - text.len())
    };
    let send = |length| gateway.send(&post(REFRESH, body(length)));
    send(16 << 10).expect(200);
    send((16 << 10) + 1)
        .expect(413)
        .body_is(r#"{"detail":"The body is larger than the 16384 bytes that are taken"}"#);
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 32 << 10, body(32 << 10));
    let head = post(REFRESH, "").head("Transfer-Encoding: chunked");
    let mut connection = gateway.connect();
    connection.send(head + &chunk);
    connection.answer().expect(413);
    for encoding in ["gzip", "zstd", "br", "gzip, gzip"] {
        let request = post(REFRESH, body(1 << 10)).header("Content-Encoding", encoding);
        gateway
            .send(&request)
            .expect(415)
            .body_is(r#"{"detail":"The body of this call must have no Content-Encoding"}"#);
    }
    gateway.send(&get("/publish/healthcheck/")).expect(200);
}
