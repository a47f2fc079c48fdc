//! The claims of a token whose signature is right: what they must say, and whom they name. Pure:
//! the time is an argument.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::{Oidc, REFRESH_LIFETIME_MAX};
use crate::identity::directory::EMAIL_BYTES_MAX;

/// The difference between our clock and the issuer's that is not held against a token.
const LEEWAY_S: u64 = 30;

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
    /// Reads claims; `None` if they are of another issuer or for others, not valid yet, bound to a
    /// key, or name nobody. No token is accepted for longer than `session_lifetime`, nor than the
    /// ends of sessions are kept.
    pub(super) fn read(
        claims: &Map<String, Value>,
        config: &Oidc,
        session_lifetime: Duration,
        now_s: u64,
    ) -> Option<Self> {
        let is_of_issuer = claims.get("iss")?.as_str()? == config.issuer;
        let is_for_us = match claims.get("aud")? {
            Value::String(audience) => *audience == config.audience,
            Value::Array(audiences) => audiences
                .iter()
                .any(|audience| audience.as_str() == Some(&config.audience)),
            _ => false,
        };
        // Whoever sends a token with `cnf` must show a key with it (RFC 7800), which is not asked
        // for here.
        if !is_of_issuer || !is_for_us || claims.contains_key("cnf") {
            return None;
        }
        let latest_s = now_s.saturating_add(LEEWAY_S);
        let issued_at_s = seconds(claims.get("iat")?)?;
        let is_begun = match claims.get("nbf") {
            None => true,
            Some(begin) => seconds(begin)? <= latest_s,
        };
        // A later time of issue would outlive the end of the user's sessions.
        if !is_begun || issued_at_s > latest_s {
            return None;
        }
        let expires_at_s = seconds(claims.get("exp")?)?.saturating_add(LEEWAY_S);
        let lifetime = session_lifetime.min(REFRESH_LIFETIME_MAX);
        Some(Self {
            email: email(claims, &config.claim)?,
            issued_at_s,
            expires_at_s: expires_at_s.min(issued_at_s.saturating_add(lifetime.as_secs())),
        })
    }
}

fn email(claims: &Map<String, Value>, claim: &str) -> Option<String> {
    if claim == "email" && claims.get("email_verified").is_some_and(is_no) {
        return None;
    }
    let email = claims.get(claim)?.as_str()?;
    (email.len() <= EMAIL_BYTES_MAX).then(|| email.to_owned())
}

/// Returns whether a value is anything but true. Some issuers write a boolean as text.
fn is_no(value: &Value) -> bool {
    !matches!(value, Value::Bool(true)) && value.as_str() != Some("true")
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
    fn read(claim: &str, others: &Value) -> Option<Named> {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "iem", "email": "a@b.example",
            "iat": NOW_S, "exp": NOW_S + 300,
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
        let expected = Some(Named {
            email: "a@b.example".to_owned(),
            issued_at_s: NOW_S,
            expires_at_s: NOW_S + 330,
        });
        for others in [
            json!({}),
            json!({ "aud": ["other", "iem"] }),
            json!({ "email_verified": true }),
            json!({ "email_verified": "true" }),
            json!({ "nbf": NOW_S + 30 }),
            json!({ "iat": 1_000_000.9, "exp": 1_000_300.5 }),
            json!({ "other": [1, { "a": null }] }),
        ] {
            assert_eq!(read("email", &others), expected, "{others}");
        }
        let named = read("sub", &json!({ "sub": "flow", "email_verified": false }));
        assert_eq!(named.map(|named| named.email).as_deref(), Some("flow"));
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
            json!({ "cnf": { "x5t#S256": "a" } }),
        ] {
            assert_eq!(read("email", &others), None, "{others}");
        }
        assert_eq!(read("sub", &json!({})), None);
    }

    #[test]
    fn no_token_outlives_a_session() {
        let expires = |exp: Value| {
            let named = read("email", &json!({ "exp": exp }));
            named.map(|named| named.expires_at_s)
        };
        assert_eq!(expires(json!(u64::MAX)), Some(NOW_S + DAY.as_secs()));
        assert_eq!(expires(json!(1e300)), Some(NOW_S + DAY.as_secs()));
        assert_eq!(
            expires(json!(0)),
            Some(30),
            "expired, which is another's to say"
        );
        let claims = json!({
            "iss": "https://idp.example", "aud": "iem", "email": "a", "iat": 0, "exp": u64::MAX,
        });
        let claims = claims.as_object().expect("an object");
        let named = Named::read(claims, &config("email"), 365 * DAY, NOW_S);
        let expires_at_s = named.map(|named| named.expires_at_s);
        assert_eq!(expires_at_s, Some(REFRESH_LIFETIME_MAX.as_secs()));
    }
}
