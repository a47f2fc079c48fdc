//! The external issuer: its keys as they are now, and the tokens that they have signed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, Header};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::fetch;
use super::key_set::KeySet;
use super::named::Named;
use crate::background::{Background, Signals};
use crate::config::{Config, Oidc};
use crate::identity::directory::PasswordVersion;
use crate::identity::token::{Claims, KeyId, TokenError, Use, provider, seconds};
use crate::telemetry::audit;
use crate::tls::TlsError;

/// The longest token. A head has more room, but a token of this size is no honest one.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The algorithms that are taken, whatever the issuer's metadata says: each is by a public key and
/// has 128 bits of security. With HMAC, whoever knows the public key could sign.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];
/// The shortest time between two fetches, unless the keys are to be fetched more often.
const PAUSE: Duration = Duration::from_secs(10);
/// The time after which a fetch that should have begun is missed: far more than one takes.
const OVERDUE: Duration = Duration::from_mins(1);
/// The longest that a start waits for the first keys.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// The external issuer.
pub struct Issuer {
    config: Oidc,
    session_lifetime: Duration,
    keys: ArcSwap<KeySet>,
    last: Mutex<LastFetch>,
    /// Somebody has sent a token whose key is unknown.
    asked: AtomicBool,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// The result of the last fetch.
struct LastFetch {
    /// The time at which keys were fetched, or the start.
    good_at: Instant,
    error: Option<String>,
    has_keys: bool,
}

/// The thread that fetches the keys. It ends when this is dropped.
#[derive(Debug)]
pub struct IssuerKeys {
    _thread: Background,
}

impl Issuer {
    /// Prepares for the configured issuer, if there is one. It has no keys yet. Blocks.
    ///
    /// # Errors
    /// The certificates that the issuer's may be signed by are missing or invalid.
    pub fn open(config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        if !config.oidc.is_on() {
            return Ok(None);
        }
        fetch::check_roots(&config.oidc)?;
        provider::install();
        Ok(Some(Arc::new(Self {
            config: config.oidc.clone(),
            session_lifetime: config.tokens.session_lifetime,
            keys: ArcSwap::default(),
            last: Mutex::new(LastFetch {
                good_at: Instant::now(),
                error: None,
                has_keys: false,
            }),
            asked: AtomicBool::new(false),
            wake: OnceLock::new(),
        })))
    }

    /// As [`open`](Self::open), with the keys of a document.
    #[cfg(test)]
    pub(crate) fn with_keys(config: &Config, document: &[u8]) -> Arc<Self> {
        let issuer = Self::open(config).ok().flatten().expect("an issuer");
        issuer.replace_keys(document);
        issuer
    }

    #[cfg(test)]
    pub(crate) fn replace_keys(&self, document: &[u8]) {
        let keys = KeySet::parse(document).expect("a key set");
        self.keys.store(Arc::new(keys));
    }

    /// Starts the thread that fetches the keys. Blocks until it has tried once, but only for a few
    /// seconds: an issuer that is away holds up no start.
    ///
    /// # Errors
    /// The operating system cannot start a thread or a runtime.
    pub fn follow(self: &Arc<Self>) -> io::Result<IssuerKeys> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let issuer = Arc::clone(self);
        let (tried, first) = mpsc::sync_channel(1);
        let thread = Background::start("issuer's keys", move |signals| {
            issuer.keep_fetching(&runtime, signals, &tried);
            // A name that is still being looked up is left behind.
            runtime.shutdown_background();
        })?;
        let _ = self.wake.set(Box::new(thread.waker()));
        let _ = first.recv_timeout(FIRST_WAIT);
        Ok(IssuerKeys { _thread: thread })
    }

    /// Fetches the keys until the stop: in intervals, soon after a failure, and when somebody asks.
    fn keep_fetching(&self, runtime: &Runtime, signals: &Signals, tried: &mpsc::SyncSender<()>) {
        loop {
            self.asked.store(false, Ordering::Relaxed);
            let begun = Instant::now();
            let is_good = runtime.block_on(self.fetch());
            let _ = tried.try_send(());
            let interval = self.config.refresh;
            let pause = PAUSE.min(interval);
            let until = |wait: Duration| wait.saturating_sub(begun.elapsed());
            // Nobody can make it ask more often.
            if !signals.sleep(until(pause)) {
                return;
            }
            let interval = if is_good { interval } else { pause };
            while !until(interval).is_zero() && !self.asked.load(Ordering::Relaxed) {
                if !signals.wait(until(interval)) {
                    return;
                }
            }
        }
    }

    /// Fetches the keys once; returns whether that went well. The last good ones stay otherwise.
    async fn fetch(&self) -> bool {
        let fetched = fetch::keys(&self.config).await;
        let mut last = self.last.lock();
        let keys = match fetched {
            Ok(keys) => keys,
            Err(error) => {
                if last.error.is_none() {
                    tracing::warn!(
                        issuer = self.config.issuer,
                        error,
                        "cannot fetch the issuer's keys; the last good ones stay"
                    );
                }
                last.error = Some(error);
                return false;
            }
        };
        let is_back = last.error.take().is_some();
        last.good_at = Instant::now();
        let is_first = !std::mem::replace(&mut last.has_keys, true);
        drop(last);
        let before = self.keys.swap(Arc::new(keys));
        self.log_change(&before, is_first, is_back);
        true
    }

    fn log_change(&self, before: &KeySet, is_first: bool, is_back: bool) {
        let after = self.keys.load();
        let missing = |from: &KeySet, to: &KeySet, what: &str| {
            let keys = from.keys().iter().filter(|key| !to.contains(key.id));
            let names = keys.map(|key| format!("key {:?} {what}", key.kid));
            names.collect::<Vec<_>>()
        };
        let mut changes = missing(&after, before, "added");
        changes.extend(missing(before, &after, "removed"));
        let issuer = &self.config.issuer;
        let keys = after.keys().len();
        if keys == 0 && (is_first || is_back || !changes.is_empty()) {
            tracing::warn!(issuer, "the issuer has no key that can be used");
        } else if is_first || is_back || !changes.is_empty() {
            tracing::info!(issuer, keys, "the issuer's keys are known");
        }
        if !is_first && !changes.is_empty() {
            audit::reloaded("keys of the issuer", &changes);
        }
    }

    /// Has the keys fetched soon. Never blocks.
    pub fn ask(&self) {
        if !self.asked.swap(true, Ordering::Relaxed)
            && let Some(wake) = self.wake.get()
        {
            wake();
        }
    }

    /// Returns for how long fetches of the keys have failed, or are overdue; 0 if all is well.
    pub fn stale_for(&self) -> Duration {
        let last = self.last.lock();
        let age = last.good_at.elapsed();
        if last.error.is_some() || age > self.config.refresh + OVERDUE {
            age
        } else {
            Duration::ZERO
        }
    }

    /// Returns the claims of a token that the issuer has signed for us, also if it has expired. A
    /// token whose key is unknown has the keys fetched, and is invalid until they are there.
    ///
    /// # Errors
    /// [`TokenError::Invalid`].
    pub fn verify(&self, token: &[u8], now: SystemTime) -> Result<Claims, TokenError> {
        self.read(token, now).ok_or(TokenError::Invalid)
    }

    fn read(&self, token: &[u8], now: SystemTime) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        if !is_of_access_token(&header) {
            return None;
        }
        let kid = header.kid?;
        let keys = self.keys.load();
        if !keys.knows(&kid) {
            self.ask();
        }
        let key = keys.find(&kid, header.alg)?;
        let token =
            jsonwebtoken::decode::<Map<String, Value>>(token, &key.verifying, &key.validation);
        let claims = token.ok()?.claims;
        let named = Named::read(&claims, &self.config, self.session_lifetime, seconds(now))?;
        Some(Claims {
            email: named.email,
            issued_at_s: named.issued_at_s,
            expires_at_s: named.expires_at_s,
            id: String::new(),
            usage: Use::Access,
            // It is not looked at: no password stands behind the token.
            password_version: PasswordVersion::NONE,
            session: None,
            begun_ms: None,
            generation: None,
            certificate: None,
            key: key.id,
        })
    }

    /// Returns whether the issuer has this key. It never blocks and never allocates.
    pub fn has_key(&self, id: KeyId) -> bool {
        self.keys.load().contains(id)
    }

    /// Fetches the keys once, and lists those that can be used. Blocks for some seconds at most.
    ///
    /// # Errors
    /// The keys cannot be fetched.
    pub fn check(&self) -> Result<Vec<String>, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let fetched = runtime.block_on(fetch::keys(&self.config));
        runtime.shutdown_background();
        let fetched = fetched?;
        let keys = fetched.keys().iter();
        Ok(keys
            .map(|key| format!("{} {:?}", key.kid, key.algorithm()))
            .collect())
    }
}

/// Returns whether a token may be one for access, or an ID token: not one of another type (RFC 8725,
/// section 3.11), and without extensions that have to be understood (RFC 7515, section 4.1.11).
fn is_of_access_token(header: &Header) -> bool {
    const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];
    let typ = header.typ.as_deref();
    ALGORITHMS.contains(&header.alg)
        && header.crit.is_none()
        && typ.is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)))
}

#[cfg(test)]
mod tests;
