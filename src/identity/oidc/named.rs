//! The claims of a token whose signature is right: what they must say, and whom they name. Pure:
//! the time is an argument.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::{Oidc, REFRESH_LIFETIME_MAX};
use crate::identity::directory::EMAIL_BYTES_MAX;
use crate::identity::sessions::EXTERNAL_LEEWAY_S as LEEWAY_S;

/// The user whom a token names, and its times in seconds of Unix time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The text of the configured claim.
    pub(super) email: String,
    /// The time of issue, which counts as that of the log-in.
    pub(super) issued_at_s: u64,
    /// The time from which the token is no longer accepted. It may have passed.
    pub(super) expires_at_s: u64,
}

impl Named {
    /// Reads claims. No token is accepted for longer than `session_lifetime`, nor than the ends of
    /// sessions are kept.
    ///
    /// # Errors
    /// They are of another issuer or for others, not valid yet, bound to a key, of another kind of
    /// token, or name nobody: the reason, which shows no claim.
    pub(super) fn read(
        claims: &Map<String, Value>,
        config: &Oidc,
        session_lifetime: Duration,
        now_s: u64,
    ) -> Result<Self, &'static str> {
        let is_of_issuer = claims.get("iss").and_then(Value::as_str) == Some(&*config.issuer);
        let is_for_us = match claims.get("aud") {
            Some(Value::String(audience)) => *audience == config.audience,
            Some(Value::Array(audiences)) => audiences
                .iter()
                .any(|audience| audience.as_str() == Some(&config.audience)),
            _ => false,
        };
        if !is_of_issuer {
            return Err("its `iss` is not oidc.issuer");
        }
        if !is_for_us {
            return Err("its `aud` has no oidc.audience");
        }
        // Whoever sends a token with `cnf` must show a key with it (RFC 7800), which is not asked
        // for here.
        if claims.contains_key("cnf") {
            return Err("it is bound to a key by `cnf`");
        }
        // A log-out token (OIDC Back-Channel Logout 1.0, section 2.4).
        if claims.contains_key("events") {
            return Err("it has `events`, as no token for access has");
        }
        let latest_s = now_s.saturating_add(LEEWAY_S);
        let time = |claim| claims.get(claim).map(seconds);
        let issued_at_s = time("iat").flatten().ok_or("it has no `iat`")?;
        let is_begun = match time("nbf") {
            None => true,
            Some(begin) => begin.is_some_and(|begin_s| begin_s <= latest_s),
        };
        // A later time of issue would outlive the end of the user's sessions.
        if !is_begun || issued_at_s > latest_s {
            return Err("its `nbf` or `iat` is to come");
        }
        let expires_at_s = time("exp").flatten().ok_or("it has no `exp`")?;
        let expires_at_s = expires_at_s.saturating_add(LEEWAY_S);
        let lifetime = session_lifetime.min(REFRESH_LIFETIME_MAX);
        Ok(Self {
            email: email(claims, &config.claim)?,
            issued_at_s,
            expires_at_s: expires_at_s.min(issued_at_s.saturating_add(lifetime.as_secs())),
        })
    }
}

/// Returns the text of the claim. An email that the issuer has not verified is no name: its owner may
/// be another.
fn email(claims: &Map<String, Value>, claim: &str) -> Result<String, &'static str> {
    if claim == "email" && !claims.get("email_verified").is_some_and(is_true) {
        return Err("its `email_verified` is not true");
    }
    let email = claims.get(claim).and_then(Value::as_str);
    let email = email.filter(|email| email.len() <= EMAIL_BYTES_MAX);
    let email = email.ok_or("its oidc.claim is no text, or too long")?;
    Ok(email.to_owned())
}

/// Returns whether a value is true. Some issuers write a boolean as text.
fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_str() == Some("true")
}

/// Reads a time, a number of seconds that may have a fraction (RFC 7519, section 2). The fraction is
/// left out.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and a negative number is none"
)]
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
        Some(seconds as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const NOW_S: u64 = 1_000_000;
    const DAY: Duration = Duration::from_hours(24);

    fn config(claim: &str) -> Oidc {
        Oidc {
            issuer: "https://idp.example".to_owned(),
            audience: "iem".to_owned(),
            claim: claim.to_owned(),
            ..Config::default().oidc
        }
    }

    /// Reads good claims, of which these are other ones; `null` leaves a claim out.
    fn read(claim: &str, others: &Value) -> Result<Named, &'static str> {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "iem", "email": "a@b.example",
            "email_verified": true, "iat": NOW_S, "exp": NOW_S + 300,
        });
        let claims = claims.as_object_mut().expect("an object");
        for (name, value) in others.as_object().expect("an object") {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        Named::read(claims, &config(claim), DAY, NOW_S)
    }

    #[test]
    fn good_claims_name_a_user() {
        let expected = Ok(Named {
            email: "a@b.example".to_owned(),
            issued_at_s: NOW_S,
            expires_at_s: NOW_S + 330,
        });
        for others in [
            json!({}),
            json!({ "aud": ["other", "iem"] }),
            json!({ "email_verified": "true" }),
            json!({ "nbf": NOW_S + 30 }),
            json!({ "iat": 1_000_000.9, "exp": 1_000_300.5 }),
            json!({ "other": [1, { "a": null }] }),
        ] {
            assert_eq!(read("email", &others), expected, "{others}");
        }
        let named = read("sub", &json!({ "sub": "flow", "email_verified": false }));
        assert_eq!(named.map(|named| named.email).as_deref(), Ok("flow"));
    }

    #[test]
    fn others_name_nobody() {
        for others in [
            json!({ "iss": null }),
            json!({ "iss": "https://idp.example/" }),
            json!({ "iss": ["https://idp.example"] }),
            json!({ "aud": null }),
            json!({ "aud": "other" }),
            json!({ "aud": [] }),
            json!({ "aud": ["other", 5] }),
            json!({ "aud": { "iem": "iem" } }),
            json!({ "exp": null }),
            json!({ "exp": "9999999999" }),
            json!({ "exp": -1 }),
            json!({ "iat": null }),
            json!({ "iat": NOW_S + 31 }),
            json!({ "iat": -0.5 }),
            json!({ "nbf": NOW_S + 31 }),
            json!({ "nbf": "0" }),
            json!({ "email": null }),
            json!({ "email": 5 }),
            json!({ "email": "a".repeat(255) }),
            json!({ "email_verified": false }),
            json!({ "email_verified": "false" }),
            json!({ "email_verified": 0 }),
            json!({ "email_verified": null }),
            json!({ "cnf": { "x5t#S256": "a" } }),
            json!({ "events": {} }),
        ] {
            assert!(read("email", &others).is_err(), "{others}");
        }
        assert!(read("sub", &json!({})).is_err());
    }

    #[test]
    fn no_token_outlives_a_session() {
        let expires = |exp: Value| {
            let named = read("email", &json!({ "exp": exp }));
            named.map(|named| named.expires_at_s)
        };
        assert_eq!(expires(json!(u64::MAX)), Ok(NOW_S + DAY.as_secs()));
        assert_eq!(expires(json!(1e300)), Ok(NOW_S + DAY.as_secs()));
        assert_eq!(
            expires(json!(0)),
            Ok(30),
            "expired, which is another's to say"
        );
        let claims = json!({
            "iss": "https://idp.example", "aud": "iem", "email": "a", "email_verified": true,
            "iat": 0, "exp": u64::MAX,
        });
        let claims = claims.as_object().expect("an object");
        let named = Named::read(claims, &config("email"), 365 * DAY, NOW_S);
        let expires_at_s = named.map(|named| named.expires_at_s);
        assert_eq!(expires_at_s, Ok(REFRESH_LIFETIME_MAX.as_secs()));
    }
}
