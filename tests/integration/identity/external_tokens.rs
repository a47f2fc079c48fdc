//! Tokens of an external issuer: which are accepted, its keys as they change, and the users whom
//! they name.

mod issuer;
mod keys;

use std::time::Duration;

use iem_test_support::{AMPLE, Answer, Authority, Gateway, Home, eventually, forged, post};
use ring::hmac;
use serde_json::{Value, json};

use issuer::Issuer;
use keys::{SigningKey, now_s, part};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;
const EXPIRED: &str = r#"{"message":"Access token has expired"}"#;
const STALE: &str = "iem_gateway_oidc_keys_stale_seconds";
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
        ("disabled", with("email", json!("off@acme.example"))),
        ("bound to a key", with("cnf", json!({ "jkt": "a" }))),
        ("another key", stranger.token(&good)),
        (
            "an unknown key",
            SigningKey::new("two", "RS256").token(&good),
        ),
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

#[test]
fn a_new_key_is_taken_and_a_removed_one_refused() {
    let [old, new] = ["old", "new"].map(|kid| SigningKey::new(kid, "EdDSA"));
    let issuer = Issuer::start(&[&old]);
    let gateway = home(&issuer).start();
    let [by_old, by_new] = [&old, &new].map(|key| key.token(&claims(&issuer, ALICE)));
    send(&gateway, &by_old).expect(200);
    is_refused(&gateway, &by_new, "not published yet");
    issuer.set_keys(&[&old, &new]);
    await_status(&gateway, &by_new, 200, "the new key");
    send(&gateway, &by_old).expect(200);
    issuer.set_keys(&[&new]);
    await_status(&gateway, &by_old, 401, "the old key is refused");
    is_refused(&gateway, &by_old, "removed");
    send(&gateway, &by_new).expect(200);
}

#[test]
fn a_token_with_an_unknown_key_has_the_keys_fetched_but_seldom() {
    let [old, new] = ["old", "new"].map(|kid| SigningKey::new(kid, "EdDSA"));
    let issuer = Issuer::start(&[&old]);
    let gateway = home(&issuer).set("oidc.refresh", "1h").start();
    issuer.set_keys(&[&new]);
    // A stranger asks as fast as it can, until the key is there.
    let token = new.token(&claims(&issuer, ALICE));
    await_status(&gateway, &token, 200, "the new key");
    assert_eq!(issuer.fetches(), 2, "one at the start, one for all");
}

#[test]
fn the_gateway_starts_without_the_issuer_and_outlives_it() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    issuer.set_away(true);
    let gateway = home(&issuer).spawn();
    let token = key.token(&claims(&issuer, ALICE));
    is_refused(&gateway, &token, "away at the start");
    gateway.publish(EVENTS, RECORD).expect(200);
    let stale_s = || gateway.metric(STALE, &[]);
    eventually(AMPLE, "stale", || stale_s() > 0.0);
    let warnings = || {
        let log = gateway.log();
        log.matches("cannot fetch the issuer's keys").count()
    };
    assert_eq!(warnings(), 1, "{}", gateway.log());

    issuer.set_away(false);
    await_status(&gateway, &token, 200, "back");
    eventually(AMPLE, "fresh", || stale_s() == 0.0);

    issuer.set_away(true);
    eventually(AMPLE, "stale again", || stale_s() > 0.0);
    send(&gateway, &token).expect(200);
    let another = key.token(&claims(&issuer, "carol@acme.example"));
    send(&gateway, &another).expect(200);
    assert_eq!(warnings(), 2, "{}", gateway.log());
    assert!(!gateway.log().contains(&token), "no token is logged");
}

#[test]
fn documents_that_are_none_leave_the_last_keys() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).start();
    let good = json!({ "keys": [key.jwk()] });
    let large = json!({ "keys": [key.jwk()], "more": "m".repeat(256 << 10) });
    for document in [String::new(), "{}".to_owned(), large.to_string()] {
        issuer.set_document(document);
        let stale_s = || gateway.metric(STALE, &[]);
        eventually(AMPLE, "stale", || stale_s() > 0.0);
        send(&gateway, &key.token(&claims(&issuer, ALICE))).expect(200);
        issuer.set_document(good.to_string());
        eventually(AMPLE, "fresh", || stale_s() == 0.0);
    }
}

#[test]
fn an_issuer_over_https_is_verified_and_check_tells_its_state() {
    let key = SigningKey::new("one", "EdDSA");
    let [authority, stranger] = ["authority", "stranger"].map(Authority::new);
    let issuer = Issuer::secure(&[&key], &authority.gateway());
    let home = home(&issuer).set("oidc.ca_file", "ca.pem");
    let check = |home: &Home, code: i32, words: &[&str]| {
        let output = home.run(&["check"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        let line = said.lines().find(|line| line.contains(" issuer "));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    };
    check(&home, 78, &["FAULT", "oidc.ca_file: ", "ca.pem"]);
    home.write("ca.pem", stranger.pem());
    check(&home, 0, &["weak", "gives no keys now", "certificate"]);
    let gateway = home.start();
    let token = key.token(&claims(&issuer, ALICE));
    is_refused(&gateway, &token, "a stranger's certificate");

    home.write("ca.pem", authority.pem());
    check(&home, 0, &["ok", "keys one EdDSA"]);
    await_status(&gateway, &token, 200, "the file is read again");

    let metadata = json!({ "issuer": "https://idp.example", "jwks_uri": issuer.keys_url() });
    issuer.set_metadata(&metadata);
    check(&home, 0, &["weak", "metadata of \"https://idp.example\""]);
    let elsewhere = json!({ "issuer": issuer.url(), "jwks_uri": "http://idp.example/keys" });
    issuer.set_metadata(&elsewhere);
    check(&home, 0, &["weak", "neither of https nor on loopback"]);
    let home = home.set("oidc.keys_url", issuer.keys_url());
    check(&home, 0, &["ok"]);
    issuer.set_keys(&[]);
    check(&home, 0, &["weak", "no key that can be used"]);
}

/// A second is the contract's bound; a loaded machine may need more.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_user_without_a_password_is_logged_out_and_disabled() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).start();
    let run = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let output = gateway.home.run(&arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let idp = "idp@acme.example";
    run(&format!(
        "user add {idp} --name Idp --customer acme --no-password"
    ));
    let list = run("user list");
    let line = list.lines().find(|line| line.starts_with(idp));
    assert!(line.is_some_and(|line| line.contains(" no ")), "{list}");

    let before = key.token(&claims(&issuer, idp));
    eventually(SOON, "the user is there", || {
        send(&gateway, &before).status == 200
    });
    for password in ["", "idp-password"] {
        let wrong = r#"{"detail":"Invalid username/password."}"#;
        gateway.log_in(idp, password).expect(401).body_is(wrong);
    }

    run(&format!("user logout {idp}"));
    eventually(SOON, "logged out", || send(&gateway, &before).status == 401);
    is_refused(&gateway, &before, "logged out");
    let mut claims = claims(&issuer, idp);
    // A token of the next second; the leeway takes it as it is.
    claims["iat"] = json!(now_s() + 1);
    let after = key.token(&claims);
    send(&gateway, &after).expect(200);

    run(&format!("user disable {idp}"));
    eventually(SOON, "disabled", || send(&gateway, &after).status == 401);
    run(&format!("user enable {idp}"));
    is_refused(&gateway, &before, "the end is for good");
}
