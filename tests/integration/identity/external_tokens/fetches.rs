//! The issuer's keys as they are fetched: rotated, asked for by tokens, late, away, damaged.

use std::time::Instant;

use iem_test_support::{AMPLE, Authority, Gateway, Home, eventually, get};
use rustix::process::Signal;
use serde_json::json;

use super::issuer::Issuer;
use super::keys::SigningKey;
use super::{ALICE, EVENTS, RECORD, await_status, claims, home, is_refused, send};

const STALE: &str = "iem_gateway_oidc_keys_stale_seconds";
/// The shortest time between two fetches that tokens ask for, in seconds.
const PAUSE_S: u64 = 10;

/// Fails the test unless the sender of a token is told to send it again.
#[track_caller]
fn is_put_off(gateway: &Gateway, token: &str) {
    let answer = send(gateway, token).expect(503);
    assert_eq!(answer.header("Retry-After"), Some("5"));
    answer.body_is(r#"{"message":"The issuer's keys are not there yet, try again later"}"#);
}

#[test]
fn a_new_key_is_taken_and_a_removed_one_refused() {
    let [old, new] = ["old", "new"].map(|kid| SigningKey::new(kid, "EdDSA"));
    let issuer = Issuer::start(&[&old]);
    let gateway = home(&issuer).start();
    let [by_old, by_new] = [&old, &new].map(|key| key.token(&claims(&issuer, ALICE)));
    send(&gateway, &by_old).expect(200);
    is_put_off(&gateway, &by_new);
    await_status(&gateway, &by_new, 401, "not published");
    issuer.set_keys(&[&old, &new]);
    await_status(&gateway, &by_new, 200, "the new key");
    send(&gateway, &by_old).expect(200);
    issuer.set_keys(&[&new]);
    await_status(&gateway, &by_old, 401, "the old key is refused");
    is_refused(&gateway, &by_old, "removed");
    send(&gateway, &by_new).expect(200);
}

#[test]
fn a_stranger_s_tokens_have_the_keys_fetched_but_seldom() {
    let [old, new] = ["old", "new"].map(|kid| SigningKey::new(kid, "EdDSA"));
    let issuer = Issuer::start(&[&old]);
    let began = Instant::now();
    let gateway = home(&issuer).set("oidc.refresh", "1h").start();
    let stranger = |number: u32| {
        let header = json!({ "alg": "EdDSA", "kid": format!("made up {number}"), "typ": "JWT" });
        old.sign(&header, &claims(&issuer, ALICE))
    };
    for number in 0..300 {
        send(&gateway, &stranger(number)).expect(503);
    }
    let document = gateway.send(&get("/openapi.json")).text();
    assert!(document.contains("The issuer's keys are not there yet, try again later"));
    issuer.set_keys(&[&old, &new]);
    let token = new.token(&claims(&issuer, ALICE));
    await_status(&gateway, &token, 200, "the new key");
    // The newest names are known to be missing.
    is_refused(&gateway, &stranger(299), "no such key");
    assert!(gateway.reached("issuer_keys") >= 300);
    let fetches = u64::try_from(issuer.fetches()).expect("few");
    assert!(
        fetches <= 1 + began.elapsed().as_secs() / PAUSE_S,
        "{fetches}"
    );
}

#[test]
fn keys_are_fetched_at_sighup() {
    let [old, new] = ["old", "new"].map(|kid| SigningKey::new(kid, "EdDSA"));
    let issuer = Issuer::start(&[&old]);
    let mut gateway = home(&issuer).set("oidc.refresh", "1h").spawn();
    let token = old.token(&claims(&issuer, ALICE));
    send(&gateway, &token).expect(200);
    issuer.set_keys(&[&new]);
    gateway.signal(Signal::HUP);
    // A removed key is no reason to ask for it.
    eventually(AMPLE, "the key is refused", || {
        send(&gateway, &token).status == 401
    });
}

#[test]
fn the_gateway_starts_without_the_issuer_and_outlives_it() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    issuer.set_away(true);
    let gateway = home(&issuer).spawn();
    let token = key.token(&claims(&issuer, ALICE));
    is_put_off(&gateway, &token);
    let reasons = || gateway.admin("/readyz").expect(200).text();
    assert!(reasons().contains("keys of the external issuer: "));
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
    assert!(!reasons().contains("issuer"));

    issuer.set_away(true);
    eventually(AMPLE, "stale again", || stale_s() > 0.0);
    send(&gateway, &token).expect(200);
    let another = key.token(&claims(&issuer, "carol@acme.example"));
    send(&gateway, &another).expect(200);
    assert_eq!(warnings(), 2, "{}", gateway.log());
    assert!(!gateway.log().contains(&token), "no token is logged");
}

/// It takes connections and says nothing.
#[test]
fn a_stalled_issuer_costs_nobody_else_anything() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    issuer.set_stalled(true);
    let gateway = home(&issuer).start();
    let token = key.token(&claims(&issuer, ALICE));
    is_put_off(&gateway, &token);
    gateway.publish(EVENTS, RECORD).expect(200);
    issuer.set_stalled(false);
    await_status(&gateway, &token, 200, "the issuer speaks");
}

#[test]
fn no_redirect_is_followed() {
    let [key, another] = ["one", "two"].map(|kid| SigningKey::new(kid, "EdDSA"));
    let [issuer, elsewhere] = [&key, &another].map(|key| Issuer::start(&[key]));
    let gateway = home(&issuer).start();
    issuer.redirect(elsewhere.keys_url());
    let reasons = || gateway.admin("/readyz").expect(200).text();
    eventually(AMPLE, "the fetch fails", || {
        reasons().contains("its status is 302")
    });
    assert_eq!(elsewhere.fetches(), 0);
    send(&gateway, &key.token(&claims(&issuer, ALICE))).expect(200);
}

#[test]
fn keys_that_are_too_old_are_not_used_where_that_is_wanted() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).set("oidc.max_staleness", "1s").start();
    let token = key.token(&claims(&issuer, ALICE));
    send(&gateway, &token).expect(200);
    issuer.set_away(true);
    await_status(&gateway, &token, 503, "too old");
    is_put_off(&gateway, &token);
    gateway.publish(EVENTS, RECORD).expect(200);
    issuer.set_away(false);
    await_status(&gateway, &token, 200, "fetched again");
}

#[test]
fn documents_that_are_none_leave_the_last_keys() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).start();
    let good = json!({ "keys": [key.jwk()] });
    let large = json!({ "keys": [key.jwk()], "more": "m".repeat(256 << 10) });
    let none = r#"{"keys":[]}"#;
    for document in ["", "{}", none, &large.to_string()] {
        issuer.set_document(document.to_owned());
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
    // Nobody knows the issuer's keys by it.
    is_put_off(&gateway, &token);

    home.write("ca.pem", authority.pem());
    check(&home, 0, &["ok", "keys \"one\" EdDSA"]);
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
