//! The token of a run: obtained before the first record is sent, and renewed before it expires.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use parking_lot::RwLock;
use serde_json::Value;
use zeroize::Zeroizing;

use super::tally::message;
use crate::client::{Client, Failure};

/// The path that issues tokens.
const TOKEN: &str = "/api/v1/user/token";

/// The time that a log-in may take.
const TIME: Duration = Duration::from_secs(15);

/// The time between two looks at a file with a token, and between two attempts to log in.
const LOOK: Duration = Duration::from_secs(1);

/// The time after which a token is renewed that does not say when it expires.
const UNKNOWN_LIFETIME: Duration = Duration::from_mins(5);

/// The credentials of a run.
pub enum Credentials {
    /// A user, and its password.
    Password {
        /// The user's email.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A file with an access token, which another program renews.
    TokenFile(PathBuf),
}

/// The reason why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The file with the token cannot be read, or holds none.
    #[error("{}: {fault}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Its fault. Holds nothing of its content.
        fault: String,
    },
    /// The gateway did not answer.
    #[error("cannot log in: {0}")]
    NoAnswer(String),
    /// The gateway refuses the credentials.
    #[error("cannot log in: {status} {message}")]
    Refused {
        /// The answer's status.
        status: u16,
        /// The answer's message.
        message: String,
    },
}

/// A session that keeps its token valid.
pub struct Session {
    client: Arc<Client>,
    credentials: Credentials,
    authorization: RwLock<HeaderValue>,
}

/// A token as a header, and the time until it should be renewed.
struct Token {
    authorization: HeaderValue,
    renew_after: Duration,
}

impl Session {
    /// Obtains the first token.
    pub async fn begin(
        client: Arc<Client>,
        credentials: Credentials,
    ) -> Result<(Self, Duration), SessionError> {
        let token = obtain(&client, &credentials).await?;
        let session = Self {
            client,
            credentials,
            authorization: RwLock::new(token.authorization),
        };
        Ok((session, token.renew_after))
    }

    /// Returns the header that requests carry.
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.read().clone()
    }

    /// Renews the token for as long as it is polled. A renewal that fails is tried again; until
    /// then the old token stays.
    pub async fn keep(&self, mut renew_after: Duration) {
        loop {
            tokio::time::sleep(renew_after).await;
            renew_after = match obtain(&self.client, &self.credentials).await {
                Ok(token) => {
                    *self.authorization.write() = token.authorization;
                    token.renew_after
                }
                Err(_) => LOOK,
            };
        }
    }
}

async fn obtain(client: &Client, credentials: &Credentials) -> Result<Token, SessionError> {
    match credentials {
        Credentials::Password { user, password } => log_in(client, user, password).await,
        Credentials::TokenFile(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || read_token(&path)).await;
            read.unwrap_or_else(|error| Err(SessionError::NoAnswer(error.to_string())))
        }
    }
}

async fn log_in(client: &Client, user: &str, password: &str) -> Result<Token, SessionError> {
    let basic = Zeroizing::new(format!("{user}:{password}"));
    let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*basic)));
    let request = Request::post(client.url().target(TOKEN))
        .header(HOST, &client.url().authority)
        .header(AUTHORIZATION, secret(&basic))
        .body(Full::<Bytes>::default())
        .map_err(|error| SessionError::NoAnswer(error.to_string()))?;
    let answer = client.send(request, Instant::now() + TIME).await;
    let answer = answer.map_err(|failure| {
        SessionError::NoAnswer(match failure {
            Failure::Connection(error) => error,
            Failure::TimedOut => format!("no answer within {} s", TIME.as_secs()),
        })
    })?;
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match json["data"]["access_token"].as_str() {
        Some(token) if answer.status == 200 => Ok(Token::new(token, SystemTime::now())),
        // A message of 200 could hold a token.
        _ if answer.status == 200 => Err(SessionError::Refused {
            status: 200,
            message: "the answer has no access token".to_owned(),
        }),
        _ => Err(SessionError::Refused {
            status: answer.status,
            message: message(&answer.body),
        }),
    }
}

/// Reads a token from its file, which is small.
fn read_token(path: &Path) -> Result<Token, SessionError> {
    let fault = |fault: String| SessionError::File {
        path: path.to_owned(),
        fault,
    };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let text = Zeroizing::new(text);
    let token = text.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(fault("holds no token".to_owned()));
    }
    Ok(Token {
        renew_after: LOOK,
        ..Token::new(token, SystemTime::now())
    })
}

impl Token {
    fn new(token: &str, now: SystemTime) -> Self {
        let bearer = Zeroizing::new(format!("Bearer {token}"));
        Self {
            authorization: secret(&bearer),
            renew_after: renew_after(token, now),
        }
    }
}

/// Returns a header's value that is never printed. The text is base64 or was checked.
fn secret(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Returns the time after which to renew a token: two thirds of what is left until it expires, by
/// its claim `exp` (RFC 7519).
fn renew_after(token: &str, now: SystemTime) -> Duration {
    let Some(expiry) = expiry(token) else {
        return UNKNOWN_LIFETIME;
    };
    let left = expiry.duration_since(now).unwrap_or_default();
    (left * 2 / 3).max(LOOK)
}

fn expiry(token: &str) -> Option<SystemTime> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let seconds = Duration::from_secs(claims.get("exp")?.as_u64()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        for (token, expected) in [
            (token(r#"{"exp":4600}"#), Duration::from_mins(40)),
            (token(r#"{"exp":900}"#), LOOK),
            (token("{}"), UNKNOWN_LIFETIME),
            ("opaque".to_owned(), UNKNOWN_LIFETIME),
        ] {
            assert_eq!(renew_after(&token, now), expected, "{token}");
        }
    }

    #[test]
    fn a_file_holds_a_token_or_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "abc.def.ghi\n").expect("a file");
        let token = read_token(&path).expect("a token");
        assert_eq!(token.authorization, "Bearer abc.def.ghi");
        assert!(!format!("{:?}", token.authorization).contains("abc"));
        for text in ["", "two words"] {
            std::fs::write(&path, text).expect("a file");
            let error = read_token(&path).err().expect("an error").to_string();
            assert!(error.ends_with("token: holds no token"), "{error}");
        }
    }
}
