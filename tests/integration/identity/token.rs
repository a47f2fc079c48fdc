//! A token's life, and the bounds on failed logins.

use std::thread;
use std::time::Duration;

use iem_test_support::{Gateway, Home, Request, basic, post};

const EVENT: &str = r#"{"envcustomerid":"acme"}"#;
const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const WRONG: &str = r#"{"detail":"Invalid username/password."}"#;
const TOO_MANY: &str = r#"{"detail":"Too many failed attempts."}"#;

fn publish_with(gateway: &Gateway, token: &str) -> iem_test_support::Answer {
    gateway.send(&post("/publish/allevents/", EVENT).cookie(token))
}

fn login(user: &str, password: &str) -> Request {
    post("/api/v1/user/token", "").basic(user, password)
}

fn refresh(gateway: &Gateway, token: &str) -> iem_test_support::Answer {
    gateway.send(&post(
        "/api/v1/user/token/refresh",
        format!(r#"{{"refresh_token":"{token}"}}"#),
    ))
}

#[test]
fn a_refreshed_token_is_used_like_the_first() {
    let gateway = Home::new().start();
    let first = gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200);
    publish_with(&gateway, &first.access_token())
        .expect(200)
        .body_is(PUBLISHED);

    let second = refresh(&gateway, &first.refresh_token()).expect(200);
    publish_with(&gateway, &second.access_token())
        .expect(200)
        .body_is(PUBLISHED);
    let third = refresh(&gateway, &second.refresh_token()).expect(200);
    publish_with(&gateway, &third.access_token())
        .expect(200)
        .body_is(PUBLISHED);
    // The first is not revoked by that: connectors share tokens.
    publish_with(&gateway, &first.access_token())
        .expect(200)
        .body_is(PUBLISHED);
}

#[test]
fn a_verified_token_expires_while_it_is_in_use() {
    let gateway = Home::new().set("tokens.access_lifetime", "2s").start();
    let answer = gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200);
    let token = answer.access_token();
    publish_with(&gateway, &token).expect(200);
    thread::sleep(Duration::from_millis(3100));
    publish_with(&gateway, &token)
        .expect(401)
        .body_is(r#"{"message":"Access token has expired"}"#);
    // The refresh token lives on.
    let renewed = refresh(&gateway, &answer.refresh_token()).expect(200);
    publish_with(&gateway, &renewed.access_token()).expect(200);
}

#[test]
fn a_token_outlives_the_gateway_that_issued_it() {
    let home = Home::new();
    let token = {
        let gateway = home.start();
        gateway.token("alice")
    };
    publish_with(&home.start(), &token).expect(200);
}

#[test]
fn an_email_beyond_ascii_logs_in_in_either_encoding() {
    let home =
        Home::new().edit_directory(|text| text.replace("zoe@acme.example", "zoë@acme.example"));
    let gateway = home.start();
    let utf_8 = basic("zoë@acme.example:pässwörd");
    let latin_1 = basic(b"zo\xeb@acme.example:p\xe4ssw\xf6rd");
    for credentials in [utf_8, latin_1] {
        let login = post("/api/v1/user/token", "").header("Authorization", &credentials);
        assert_eq!(
            gateway.send(&login).expect(200).json()["data"]["email"],
            "zoë@acme.example"
        );
    }
}

#[test]
fn ten_failures_bound_one_user_from_one_peer_and_nobody_else() {
    let gateway = Home::new().start();
    let (peer, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    for _ in 0..10 {
        gateway
            .send_from(peer, &login("alice@acme.example", "wrong"))
            .expect(401)
            .body_is(WRONG);
    }
    // Right credentials too: else the bound would tell when they have been guessed.
    for password in ["wrong", "alice-password"] {
        let answer = gateway.send_from(peer, &login("alice@acme.example", password));
        let answer = answer.expect(429).body_is(TOO_MANY).says_when_to_retry();
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
    }
    gateway
        .send_from(peer, &login("carol@acme.example", "carol-password"))
        .expect(200);
    gateway
        .send_from(other, &login("alice@acme.example", "alice-password"))
        .expect(200);
}

#[test]
fn failures_on_tickets_and_on_tokens_are_counted_together() {
    let gateway = Home::new().start();
    let peer = [127, 0, 0, 2];
    let ticket = |password: &str| {
        let body = r#"{"state":6,"sysid":"1"}"#;
        post("/gbp/push/acme?integrationid=servicenow-1", body)
            .basic("alice@acme.example", password)
    };
    for _ in 0..5 {
        gateway
            .send_from(peer, &login("alice@acme.example", "wrong"))
            .expect(401);
        let answer = gateway.send_from(peer, &ticket("wrong")).expect(403);
        answer.body_is(r#"{"message":"Invalid credentials"}"#);
    }
    let answer = gateway
        .send_from(peer, &ticket("alice-password"))
        .expect(429);
    answer
        .body_is(r#"{"message":"Too many failed attempts."}"#)
        .says_when_to_retry();
    gateway
        .send_from(peer, &login("alice@acme.example", "alice-password"))
        .expect(429);
}

#[test]
fn a_hundred_failures_bound_a_peer_whatever_users_it_names() {
    let gateway = Home::new().start();
    let peer = [127, 0, 0, 2];
    for number in 0..100 {
        gateway
            .send_from(
                peer,
                &login(&format!("user-{number}@acme.example"), "wrong"),
            )
            .expect(401);
    }
    let answer = gateway
        .send_from(peer, &login("alice@acme.example", "alice-password"))
        .expect(429);
    answer.body_is(TOO_MANY).says_when_to_retry();
    gateway
        .send(&login("alice@acme.example", "alice-password"))
        .expect(200);
}

#[test]
fn malformed_credentials_and_right_ones_are_not_counted() {
    let gateway = Home::new()
        .set("login.failures_per_user", 2)
        .set("login.failures_per_peer", 2)
        .start();
    for _ in 0..5 {
        gateway.send(&post("/api/v1/user/token", "")).expect(401);
        gateway
            .send(&post("/api/v1/user/token", "").header("Authorization", "Basic !!!"))
            .expect(401);
        gateway
            .send(&post("/api/v1/user/token", "").header("Authorization", &basic("nobody")))
            .expect(401);
        gateway
            .send(&login("alice@acme.example", "alice-password"))
            .expect(200);
    }
}

#[test]
fn guesses_side_by_side_do_not_pass_the_bound() {
    let gateway = Home::new().start();
    let peer = [127, 0, 0, 2];
    let gateway = &gateway;
    let guess = move |number: usize| {
        gateway
            .send_from(
                peer,
                &login("alice@acme.example", &format!("guess-{number}")),
            )
            .status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..60)
            .map(|number| scope.spawn(move || guess(number)))
            .collect();
        guesses
            .into_iter()
            .map(|guess| guess.join().expect("a guess"))
            .collect()
    });
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert!(looked_at <= 10, "{looked_at} of 60 guesses were looked at");
    assert!(
        statuses
            .iter()
            .all(|status| [401, 429, 503].contains(status)),
        "{statuses:?}"
    );
}
