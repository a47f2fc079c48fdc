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
use super::key_set::{KID_BYTES_MAX, KeySet};
use super::named::Named;
use super::unknown_keys::UnknownKeys;
use crate::background::{Background, Signals};
use crate::config::{Config, Oidc};
use crate::identity::directory::PasswordVersion;
use crate::identity::token::{Claims, KeyId, TokenError, Use, provider, seconds};
use crate::telemetry::audit;
use crate::tls::TlsError;

/// The longest token. A head has more room, but a token of this size is no honest one.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The longest header of a token, encoded: anybody can have it read. Some hold a certificate.
const HEADER_BYTES_MAX: usize = 4 << 10;
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
    unknown: Mutex<UnknownKeys>,
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

/// The reason why a token is not accepted. It shows nothing of the token.
enum Refusal {
    Invalid(&'static str),
    KeysAwaited,
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
            unknown: Mutex::default(),
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
        self.unknown.lock().begin();
        self.take(KeySet::parse(document).expect("a key set"));
    }

    /// Starts the thread that fetches the keys. Blocks until it has tried once, but for three seconds at
    /// most.
    ///
    /// # Errors
    /// The operating system cannot start a thread or a runtime.
    pub fn follow(self: &Arc<Self>) -> io::Result<IssuerKeys> {
        let runtime = runtime()?;
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
        self.unknown.lock().begin();
        match fetch::keys(&self.config).await {
            Ok(keys) => {
                self.take(keys);
                true
            }
            Err(error) => {
                self.unknown.lock().fail();
                let mut last = self.last.lock();
                if last.error.is_none() {
                    tracing::warn!(
                        issuer = self.config.issuer,
                        error,
                        "cannot fetch the issuer's keys; the last good ones stay"
                    );
                }
                last.error = Some(error);
                false
            }
        }
    }

    /// Puts fetched keys in the place of those before.
    fn take(&self, keys: KeySet) {
        let mut last = self.last.lock();
        let is_back = last.error.take().is_some();
        last.good_at = Instant::now();
        let is_first = !std::mem::replace(&mut last.has_keys, true);
        drop(last);
        let before = self.keys.swap(Arc::new(keys));
        let after = self.keys.load();
        self.unknown.lock().end(|kid| after.knows(kid));
        self.log_change(&before, &after, is_first, is_back);
    }

    fn log_change(&self, before: &KeySet, after: &KeySet, is_first: bool, is_back: bool) {
        let missing = |from: &KeySet, to: &KeySet, what: &str| {
            let keys = from.keys().iter().filter(|key| !to.contains(key.id));
            let names = keys.map(|key| format!("key {:?} {what}", key.kid));
            names.collect::<Vec<_>>()
        };
        let mut changes = missing(after, before, "added");
        changes.extend(missing(before, after, "removed"));
        let issuer = &self.config.issuer;
        let keys = after.keys().len();
        if is_first || is_back || !changes.is_empty() {
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

    /// Returns why the last fetch of the keys failed, if it did.
    pub fn error(&self) -> Option<String> {
        self.last.lock().error.clone()
    }

    /// Returns whether the keys are older than the configuration allows, or have never been there.
    fn lacks_keys(&self) -> bool {
        let max = self.config.max_staleness;
        let is_too_old = || !max.is_zero() && self.stale_for() > max;
        self.keys.load().keys().is_empty() || is_too_old()
    }

    /// Returns the claims of a token that the issuer has signed for us, also if it has expired. A
    /// token whose key is unknown has the keys fetched.
    ///
    /// # Errors
    /// [`TokenError::Invalid`]; [`TokenError::KeysAwaited`] until the keys are there that tell whether
    /// it is.
    pub fn verify(&self, token: &[u8], now: SystemTime) -> Result<Claims, TokenError> {
        self.read(token, now).map_err(|refusal| {
            let (reason, error) = match refusal {
                Refusal::Invalid(reason) => (reason, TokenError::Invalid),
                Refusal::KeysAwaited => ("its key is unknown yet", TokenError::KeysAwaited),
            };
            tracing::debug!(reason, "an external token is refused");
            error
        })
    }

    fn read(&self, token: &[u8], now: SystemTime) -> Result<Claims, Refusal> {
        let end_of_header = token.iter().position(|byte| *byte == b'.');
        let has_size = token.len() <= TOKEN_BYTES_MAX
            && end_of_header.is_some_and(|end| end <= HEADER_BYTES_MAX);
        if !has_size {
            return Err(Refusal::Invalid("it is no JWT, or too long"));
        }
        let header = jsonwebtoken::decode_header(token);
        let header = header.map_err(|_| Refusal::Invalid("its header is none of a JWT"))?;
        if !is_of_access_token(&header) {
            let reason = "its algorithm, type or an extension is not accepted";
            return Err(Refusal::Invalid(reason));
        }
        let kid = header.kid.filter(|kid| kid.len() <= KID_BYTES_MAX);
        let kid = kid.ok_or(Refusal::Invalid("it names no key"))?;
        if self.lacks_keys() {
            return Err(Refusal::KeysAwaited);
        }
        let keys = self.keys.load();
        if !keys.knows(&kid) {
            self.ask();
            return Err(if self.unknown.lock().is_awaited(&kid) {
                Refusal::KeysAwaited
            } else {
                Refusal::Invalid("the issuer has no key of this name")
            });
        }
        let mut named_so = keys.find(&kid, header.alg);
        let verified = named_so.find_map(|key| {
            let verified =
                jsonwebtoken::decode::<Map<String, Value>>(token, &key.verifying, &key.validation);
            Some((key, verified.ok()?.claims))
        });
        let (key, claims) = verified.ok_or(Refusal::Invalid(
            "its signature or algorithm is not the key's",
        ))?;
        let named = Named::read(&claims, &self.config, self.session_lifetime, seconds(now));
        let named = named.map_err(Refusal::Invalid)?;
        Ok(Claims {
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

    /// Returns whether the issuer has this key.
    ///
    /// # Errors
    /// [`TokenError::KeysAwaited`] if the keys are older than the configuration allows.
    pub fn has_key(&self, id: KeyId) -> Result<bool, TokenError> {
        let has_key = self.keys.load().contains(id);
        if has_key && self.lacks_keys() {
            return Err(TokenError::KeysAwaited);
        }
        Ok(has_key)
    }

    /// Returns whether its tokens may name superadmins.
    pub fn may_name_superadmins(&self) -> bool {
        self.config.superadmins
    }

    /// Fetches the keys once, and lists those that can be used. Blocks for some seconds at most.
    ///
    /// # Errors
    /// The keys cannot be fetched.
    pub fn check(&self) -> Result<Vec<String>, String> {
        let runtime = runtime().map_err(|error| error.to_string())?;
        let fetched = runtime.block_on(fetch::keys(&self.config));
        runtime.shutdown_background();
        let fetched = fetched?;
        let keys = fetched.keys().iter();
        Ok(keys
            .map(|key| format!("{:?} {:?}", key.kid, key.algorithm()))
            .collect())
    }
}

/// Makes the runtime of one thread that fetches. A look-up of a name that hangs holds up the next one,
/// in place of having another thread.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
}

/// Returns whether a token may be one for access, or an ID token: not one of another type (RFC 8725,
/// section 3.11), and without extensions that have to be understood (RFC 7515, section 4.1.11).
fn is_of_access_token(header: &Header) -> bool {
    const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];
    let typ = header.typ.as_deref();
    ALGORITHMS.contains(&header.alg)
        && header.crit.is_none()
        // What it signs is another token, or is to be decompressed.
        && header.cty.is_none()
        && header.zip.is_none()
        && header.enc.is_none()
        && typ.is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)))
}

#[cfg(test)]
mod tests;
