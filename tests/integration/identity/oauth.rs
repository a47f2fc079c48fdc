//! OAuth 2 from outside: tokens that work, sessions that a client ends, credentials as clients
//! encode them, and bounds on failures.

use std::fs;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use iem_test_support::{Answer, Gateway, Home, eventually, get, post};
use serde_json::{Value, json};

const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;
/// A user whose email and password change when they are form-decoded.
const PLUS: &str = r#"
[[user]]
email = "plus+one@acme.example"
name = "Plus"
password = "{{hash:a+b%2b}}"
customers = ["acme"]
"#;
const ALICE_CLIENT: Option<&str> = Some("alice@acme.example:alice-password");
const ALICE: &str = "username=alice@acme.example&password=alice-password";

fn ask(gateway: &Gateway, path: &str, credentials: Option<&str>, form: &str) -> Answer {
    let mut request = post(path, form);
    if let Some(credentials) = credentials {
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        request = request.header("Authorization", &basic);
    }
    gateway.send(&request)
}

fn token(gateway: &Gateway, credentials: Option<&str>, form: &str) -> Answer {
    ask(gateway, "/oauth2/token", credentials, form)
}

/// Returns an access and a refresh token of Alice's.
fn session(gateway: &Gateway) -> (String, String) {
    let answer = token(gateway, None, &format!("grant_type=password&{ALICE}")).expect(200);
    let text = |name: &str| answer.json()[name].as_str().expect("a token").to_owned();
    (text("access_token"), text("refresh_token"))
}

fn publish(gateway: &Gateway, token: &str) -> String {
    let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#);
    let bearer = format!("Bearer {token}");
    gateway
        .send(&request.header("Authorization", &bearer))
        .text()
}

fn refresh(gateway: &Gateway, token: &str) -> Answer {
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    self::token(gateway, None, &form)
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("JSON")
}

#[test]
fn a_revoked_token_ends_its_session_and_no_other() {
    let gateway = Home::new().start();
    let (stolen, other) = (session(&gateway), session(&gateway));
    assert_eq!(publish(&gateway, &stolen.0), PUBLISHED);
    let form = format!("token={}", stolen.0);
    let answer = ask(&gateway, "/oauth2/revoke", ALICE_CLIENT, &form).expect(200);
    assert_eq!(answer.text(), "{}");
    assert_eq!(publish(&gateway, &stolen.0), INVALID);
    let answer = refresh(&gateway, &stolen.1).expect(400);
    assert_eq!(answer.json()["error"], "invalid_grant");
    assert_eq!(publish(&gateway, &other.0), PUBLISHED);
    refresh(&gateway, &other.1).expect(200);
}

#[test]
fn a_revoked_session_stays_ended_though_the_gateway_is_killed_at_once() {
    let home = Home::new();
    let mut gateway = home.spawn();
    for _ in 0..5 {
        let (access, refresh) = session(&gateway);
        let form = format!("token={refresh}&token_type_hint=refresh_token");
        ask(&gateway, "/oauth2/revoke", ALICE_CLIENT, &form).expect(200);
        gateway.kill();
        gateway = home.spawn();
        assert_eq!(publish(&gateway, &access), INVALID);
    }
}

/// The first answer, and each further one, says that the end is not on disk, until it is.
#[test]
fn a_revocation_is_confirmed_only_once_it_is_on_disk() {
    let gateway = Home::new().start();
    let path = gateway.home.path("directory.toml.ended");
    let (access, _) = session(&gateway);
    let form = format!("token={access}");
    // Users who are disabled have no session from the start on.
    eventually(Duration::from_secs(10), "the first ends", || path.is_file());
    fs::remove_file(&path).expect("it is a file");
    fs::create_dir(&path).expect("a folder in the file's place");
    for _ in 0..2 {
        let answer = ask(&gateway, "/oauth2/revoke", ALICE_CLIENT, &form).expect(503);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        assert_eq!(publish(&gateway, &access), INVALID, "it holds all the same");
    }
    fs::remove_dir(&path).expect("it is empty");
    eventually(Duration::from_secs(20), "the end is written", || {
        ask(&gateway, "/oauth2/revoke", ALICE_CLIENT, &form).status == 200
    });
    assert!(path.is_file());
}

#[test]
fn a_client_that_names_itself_is_the_one_of_its_credentials() {
    let gateway = Home::new().start();
    let bob = Some("bob@globex.example:bob-password");
    for form in [
        "grant_type=client_credentials".to_owned(),
        format!("grant_type=password&{ALICE}"),
    ] {
        token(&gateway, bob, &form).expect(200);
        let other = format!("{form}&client_id=alice@acme.example");
        let answer = token(&gateway, bob, &other).expect(401);
        assert_eq!(answer.json()["error"], "invalid_client");
    }
}

#[test]
fn the_audit_log_tells_of_clients_users_and_revocations() {
    let home = Home::new();
    let log = home.path("audit.log");
    let home = home.set("audit.path", log.to_str().expect("UTF-8"));
    let gateway = home.spawn();
    let bob = Some("bob@globex.example:bob-password");
    let refused = token(&gateway, bob, "grant_type=refresh_token&refresh_token=x").expect(400);
    let (access, _) = session(&gateway);
    let form = format!("token={access}");
    let revoked = ask(&gateway, "/oauth2/revoke", ALICE_CLIENT, &form).expect(200);
    let has_entry = |answer: &Answer, fields: &[(&str, &str)]| {
        let id = answer.header("x-request-id").expect("the log's id");
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().any(|line| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            entry["request"] == id && fields.iter().all(|(name, value)| entry[name] == *value)
        })
    };
    for (answer, fields) in [
        // The password was right, although the request was refused for something else.
        (
            &refused,
            [("user", "bob@globex.example"), ("outcome", "accepted")],
        ),
        (
            &refused,
            [("event", "log_in"), ("outcome", "invalid refresh token")],
        ),
        (
            &revoked,
            [("user", "alice@acme.example"), ("event", "sessions_ended")],
        ),
    ] {
        eventually(Duration::from_secs(10), "an entry", || {
            has_entry(answer, &fields)
        });
    }
}

#[test]
fn basic_in_place_of_a_token_is_bounded_and_ends_with_its_user() {
    let gateway = Home::new().set("server.basic", true).start();
    let publish = |credentials: &str| {
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#);
        gateway.send(&request.header("Authorization", &basic))
    };
    let alice = "alice@acme.example:alice-password";
    publish(alice).expect(200);
    publish(alice).expect(200);
    let disable = ["user", "disable", "alice@acme.example"];
    assert!(gateway.home.run(&disable).status.success());
    eventually(Duration::from_secs(10), "the user is disabled", || {
        publish(alice).status == 401
    });
    let bob = "bob@globex.example";
    for _ in 0..10 {
        publish(&format!("{bob}:wrong")).expect(401);
    }
    let answer = publish(&format!("{bob}:bob-password")).expect(429);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(answer.text(), r#"{"message":"Too many failed attempts."}"#);
}

#[test]
fn form_encoded_credentials_are_right_at_the_first_attempt() {
    let gateway = Home::new().start();
    let form = "grant_type=client_credentials";
    let encoded = Some("alice%40acme.example:alice%2Dpassword");
    let answer = token(&gateway, encoded, form);
    let access = answer.expect(200).json()["access_token"].clone();
    let access = access.as_str().expect("a token");
    assert_eq!(publish(&gateway, access), PUBLISHED);
    assert!(gateway.metric("iem_gateway_failed_logins_total", &[]) < 0.5);
    // A password that is right as it was sent counts so.
    let gateway = Home::new().edit_directory(|text| text + PLUS).start();
    for credentials in [
        "plus+one@acme.example:a+b%2b",
        "plus%2Bone%40acme.example:a%2Bb%252b",
    ] {
        token(&gateway, Some(credentials), "grant_type=client_credentials").expect(200);
    }
}

#[test]
fn failed_attempts_are_bounded_as_those_of_the_token_call() {
    let gateway = Home::new().start();
    let wrong = Some("alice@acme.example:wrong");
    let form = "grant_type=client_credentials";
    for _ in 0..10 {
        token(&gateway, wrong, form).expect(401);
    }
    let right = Some("alice@acme.example:alice-password");
    let password = format!("grant_type=password&{ALICE}");
    for answer in [
        token(&gateway, right, form),
        token(&gateway, None, &password),
        gateway.log_in("alice@acme.example", "alice-password"),
    ] {
        let answer = answer.expect(429);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    let answer = token(&gateway, right, form).expect(429);
    let expected = json!({
        "error": "temporarily_unavailable",
        "error_description": "Too many failed attempts.",
    });
    assert_eq!(answer.json(), expected);
    // A stranger's failures are the stranger's.
    let elsewhere = post("/oauth2/token", password);
    gateway.send_from([127, 0, 0, 2], &elsewhere).expect(200);
}

#[test]
fn tokens_and_metadata_name_the_url_of_the_gateway() {
    let home = Home::new();
    let issuer = |gateway: &Gateway| claims(&session(gateway).0)["iss"].clone();
    assert_eq!(issuer(&home.start()), "iem-gateway");
    let gateway = home.set("server.url", "https://iem.example.com/").start();
    assert_eq!(issuer(&gateway), "https://iem.example.com");
    assert_eq!(claims(&session(&gateway).0)["aud"], "iem-gateway");
    let request = get("/.well-known/oauth-authorization-server");
    let metadata = gateway.send(&request).expect(200).json();
    assert_eq!(metadata["issuer"], "https://iem.example.com");
    let endpoint = "https://iem.example.com/oauth2/token";
    assert_eq!(metadata["token_endpoint"], endpoint);
}

#[test]
fn an_access_token_says_how_long_it_holds() {
    let home = Home::new().set("tokens.session_lifetime", "1h");
    let gateway = home.start();
    let (_, first) = session(&gateway);
    // Times are whole seconds.
    thread::sleep(Duration::from_millis(1100));
    let answer = refresh(&gateway, &first).expect(200).json();
    let (begin, end) = (
        claims(&first),
        claims(answer["access_token"].as_str().expect("one")),
    );
    let lasts = end["exp"].as_u64().zip(end["iat"].as_u64());
    let lasts = lasts.map(|(end, begin)| end - begin);
    assert_eq!(answer["expires_in"].as_u64(), lasts);
    assert!(lasts < Some(3600), "{lasts:?}");
    // No token outlives its session.
    assert_eq!(
        end["exp"].as_u64(),
        begin["iat"].as_u64().map(|begin| begin + 3600)
    );
}

/// Ten may fail in a minute, whichever of its meanings was a user's.
#[test]
fn failed_attempts_do_not_tell_which_meaning_is_a_user() {
    let gateway = Home::new().edit_directory(|text| text + PLUS).start();
    for local in ["plus", "nobody"] {
        let email = format!("{local}+one@acme.example");
        for _ in 0..10 {
            let credentials = format!("{email}:wrong");
            token(
                &gateway,
                Some(&credentials),
                "grant_type=client_credentials",
            )
            .expect(401);
        }
        for email in [email.clone(), email.replace('+', " ")] {
            gateway.log_in(&email, "wrong").expect(429);
        }
    }
}

#[test]
fn a_password_with_a_percent_sign_is_one_attempt() {
    let gateway = Home::new().start();
    for _ in 0..10 {
        let credentials = Some("alice@acme.example:wrong%41");
        token(&gateway, credentials, "grant_type=client_credentials").expect(401);
    }
    let credentials = Some("alice@acme.example:alice-password");
    token(&gateway, credentials, "grant_type=client_credentials").expect(429);
}
