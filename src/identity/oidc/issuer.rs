//! The external issuer: its keys as they are now, and the tokens that they have signed.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::fetch;
use super::key_name::{KeyName, unverified_claims};
use super::key_set::KeySet;
use super::named::Named;
use super::unknown_keys::UnknownKeys;
use crate::background::{Background, Signals};
use crate::config::{Config, Oidc};
use crate::identity::directory::PasswordVersion;
use crate::identity::token::{Claims, KeyId, TokenError, Use, provider, seconds};
use crate::telemetry::audit;
use crate::tls::TlsError;

/// The shortest time between two fetches, unless the keys are to be fetched more often.
const PAUSE: Duration = Duration::from_secs(10);
/// The time after which a fetch that should have begun is missed: far more than one takes.
const OVERDUE: Duration = Duration::from_mins(1);
/// No fetch has failed since the last one that went well.
const FETCHED: u64 = u64::MAX;
/// The longest that a start waits for the first keys.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// The external issuer.
pub struct Issuer {
    config: Oidc,
    session_lifetime: Duration,
    keys: ArcSwap<KeySet>,
    unknown: Mutex<UnknownKeys>,
    /// When the issuer was opened, from which `failing_since_ms` counts.
    opened: Instant,
    /// The time at which fetches began to fail; `FETCHED` while they go well.
    failing_since_ms: AtomicU64,
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
            opened: Instant::now(),
            failing_since_ms: AtomicU64::new(FETCHED),
            last: Mutex::new(LastFetch {
                good_at: Instant::now(),
                error: None,
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
                if self.last.lock().error.is_none() {
                    tracing::warn!(
                        issuer = self.config.issuer,
                        error,
                        "cannot fetch the issuer's keys; the last good ones stay"
                    );
                }
                self.fail(error);
                false
            }
        }
    }

    /// Notes why the keys could not be fetched.
    fn fail(&self, error: String) {
        self.last.lock().error = Some(error);
        let now_ms = self.now_ms();
        let _ = self.failing_since_ms.compare_exchange(
            FETCHED,
            now_ms,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(FETCHED - 1)
    }

    /// Puts fetched keys in the place of those before.
    fn take(&self, keys: KeySet) {
        self.failing_since_ms.store(FETCHED, Ordering::Relaxed);
        let mut last = self.last.lock();
        let is_back = last.error.take().is_some();
        last.good_at = Instant::now();
        drop(last);
        let before = self.keys.swap(Arc::new(keys));
        let after = self.keys.load();
        self.unknown.lock().end(|kid| after.knows(kid));
        self.log_change(&before, &after, is_back);
    }

    fn log_change(&self, before: &KeySet, after: &KeySet, is_back: bool) {
        let is_first = before.keys().is_empty();
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

    /// Returns whether the keys have never been there, or could not be fetched for longer than the
    /// configuration allows. It never blocks.
    fn lacks_keys(&self) -> bool {
        let max = self.config.max_staleness;
        let since_ms = self.failing_since_ms.load(Ordering::Relaxed);
        let is_too_old = || {
            let failing_ms = self.now_ms().saturating_sub(since_ms);
            !max.is_zero() && Duration::from_millis(failing_ms) > max
        };
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
        let KeyName { kid, algorithm } = KeyName::of(token).map_err(Refusal::Invalid)?;
        let keys = self.keys.load();
        let lacks_keys = self.lacks_keys();
        if lacks_keys || !keys.knows(&kid) {
            // A token that would be refused with any key is not to be sent again.
            let claims =
                unverified_claims(token).ok_or(Refusal::Invalid("its claims are no object"))?;
            self.named(&claims, now)?;
            return Err(if lacks_keys || self.awaits(&kid) {
                Refusal::KeysAwaited
            } else {
                Refusal::Invalid("the issuer has no key of this name")
            });
        }
        let mut named_so = keys.find(&kid, algorithm);
        let verified = named_so.find_map(|key| {
            let verified =
                jsonwebtoken::decode::<Map<String, Value>>(token, &key.verifying, &key.validation);
            Some((key, verified.ok()?.claims))
        });
        let (key, claims) = verified.ok_or(Refusal::Invalid(
            "its signature or algorithm is not the key's",
        ))?;
        let named = self.named(&claims, now)?;
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

    /// Has the keys fetched for a token whose key is unknown. Returns whether a fetch is still to tell
    /// whether there is such a key.
    fn awaits(&self, kid: &str) -> bool {
        // Noted first: the fetch that is asked for has to tell of it.
        let is_awaited = self.unknown.lock().is_awaited(kid);
        self.ask();
        is_awaited
    }

    fn named(&self, claims: &Map<String, Value>, now: SystemTime) -> Result<Named, Refusal> {
        let named = Named::read(claims, &self.config, self.session_lifetime, seconds(now));
        named.map_err(Refusal::Invalid)
    }

    /// Returns whether the issuer has this key. It never blocks.
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

#[cfg(test)]
mod tests;
