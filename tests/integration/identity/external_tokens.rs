//! Tokens of an external issuer: which are accepted, its keys as they change, and the users whom
//! they name.

mod fetches;
mod issuer;
mod keys;
mod users;

use iem_test_support::{AMPLE, Answer, Gateway, Home, eventually, forged, post};
use ring::hmac;
use serde_json::{Value, json};

use issuer::Issuer;
use keys::{SigningKey, now_s, part};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;
const EXPIRED: &str = r#"{"message":"Access token has expired"}"#;
const ALICE: &str = "alice@acme.example";

/// A gateway's home that trusts this issuer, and asks it again every second.
fn home(issuer: &Issuer) -> Home {
    Home::new()
        .set("oidc.issuer", issuer.url())
        .set("oidc.audience", "iem")
        .set("oidc.refresh", "1s")
}

fn claims(issuer: &Issuer, email: &str) -> Value {
    json!({
        "iss": issuer.url(), "aud": ["account", "iem"], "sub": "f:1", "email": email,
        "email_verified": true, "iat": now_s(), "exp": now_s() + 300,
    })
}

fn send(gateway: &Gateway, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    gateway.send(&post(EVENTS, RECORD).header("Authorization", &bearer))
}

#[track_caller]
fn is_refused(gateway: &Gateway, token: &str, what: &str) {
    let answer = send(gateway, token);
    assert!(
        answer.status == 401 && answer.text() == INVALID,
        "{what}: {answer:?}"
    );
}

#[track_caller]
fn await_status(gateway: &Gateway, token: &str, status: u16, what: &str) {
    eventually(AMPLE, what, || send(gateway, token).status == status);
}

#[test]
fn the_issuer_s_tokens_publish_by_each_algorithm() {
    let keys = ["RS256", "PS256", "ES256", "EdDSA"].map(|name| SigningKey::new(name, name));
    let issuer = Issuer::start(&keys.each_ref());
    let gateway = home(&issuer).start();
    for key in &keys {
        let token = key.token(&claims(&issuer, ALICE));
        for _ in 0..2 {
            send(&gateway, &token).expect(200);
        }
        let by_cookie = post(EVENTS, RECORD).cookie(&token);
        gateway.send(&by_cookie).expect(200);
    }
    assert_eq!(gateway.home.records("events").len(), 12);
    // What the user may do is the directory's to say.
    let token = keys[0].token(&claims(&issuer, "bob@globex.example"));
    let not_associated = r#"{"message":"User is not associated with the customer"}"#;
    send(&gateway, &token).expect(401).body_is(not_associated);
}

#[test]
fn other_tokens_are_refused() {
    let [key, stranger] = ["one", "one"].map(|kid| SigningKey::new(kid, "RS256"));
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).start();
    let good = claims(&issuer, ALICE);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        key.token(&claims)
    };
    send(&gateway, &key.token(&good)).expect(200);
    let (past, future) = (now_s() - 60, now_s() + 120);
    for (what, token) in [
        ("another issuer", with("iss", json!("https://idp.example"))),
        ("another audience", with("aud", json!("account"))),
        ("not yet", with("nbf", json!(future))),
        ("issued in the future", with("iat", json!(future))),
        ("no user", with("email", json!("nobody@acme.example"))),
        ("not verified", with("email_verified", json!(false))),
        ("for a log-out", with("events", json!({}))),
        ("a superadmin", with("email", json!("root@iem.example"))),
        ("disabled", with("email", json!("off@acme.example"))),
        ("bound to a key", with("cnf", json!({ "jkt": "a" }))),
        ("another key", stranger.token(&good)),
    ] {
        is_refused(&gateway, &token, what);
    }
    let mut expired = good.clone();
    (expired["iat"], expired["exp"]) = (json!(past - 60), json!(past));
    send(&gateway, &key.token(&expired))
        .expect(401)
        .body_is(EXPIRED);
    send(&gateway, &stranger.token(&expired))
        .expect(401)
        .body_is(INVALID);

    let signed = key.token(&good);
    let (message, signature) = signed.rsplit_once('.').expect("a signature");
    let (header, _) = message.split_once('.').expect("a header");
    let root = part(claims(&issuer, "root@iem.example").to_string());
    is_refused(
        &gateway,
        &format!("{header}.{root}.{signature}"),
        "tampered",
    );
    is_refused(&gateway, &format!("{message}."), "without a signature");
    let none = json!({ "alg": "none", "kid": "one" });
    let unsigned = format!("{}.{}.", part(none.to_string()), part(good.to_string()));
    is_refused(&gateway, &unsigned, "none");
    // The secret is what everybody can fetch: the key as a document, and its modulus.
    let header = json!({ "alg": "HS256", "kid": "one" });
    let message = format!("{}.{}", part(header.to_string()), part(good.to_string()));
    let jwk = key.jwk();
    for secret in [
        jwk.to_string(),
        jwk["n"].as_str().expect("a text").to_owned(),
    ] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hmac::sign(&secret, message.as_bytes());
        is_refused(&gateway, &format!("{message}.{}", part(signature)), "HS256");
    }
    for how in ["alg-none", "alg-none-signed", "unsigned", "cut"] {
        is_refused(&gateway, &forged(how, &signed).expect(how), how);
    }
}

#[test]
fn a_claim_other_than_the_email_may_name_the_user() {
    let key = SigningKey::new("one", "ES256");
    let issuer = Issuer::start(&[&key]);
    let home = home(&issuer).set("oidc.claim", "client_id");
    let home = home.edit_directory(|text| text.replace(ALICE, "flow"));
    let gateway = home.start();
    let mut claims = claims(&issuer, ALICE);
    is_refused(&gateway, &key.token(&claims), "an email");
    claims["client_id"] = json!("flow");
    send(&gateway, &key.token(&claims)).expect(200);
}
