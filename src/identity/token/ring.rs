//! The key ring: all its keys verify tokens, and one of them signs.

use std::fmt;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use super::claims::{Claims, Signed};
use super::key::SigningKey;
use super::key_id::KeyId;
use super::provider;

/// The audience of all tokens: every gateway with the same keys.
const AUDIENCE: &str = "iem-gateway";

/// The keys of a gateway, one at least.
pub struct Ring {
    /// The newest last. Keys of one time are sorted by their ids, so that all gateways agree.
    keys: Vec<RingKey>,
    validation: Validation,
}

struct RingKey {
    id: KeyId,
    created: SystemTime,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl Ring {
    /// Builds a ring. The same key twice counts as one, of the earlier time.
    pub(super) fn new<'k>(keys: impl IntoIterator<Item = &'k SigningKey>) -> Self {
        provider::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked elsewhere, against the time that is given, and after everything else.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        // A token without an audience is of an earlier version.
        validation.set_audience(&[AUDIENCE]);
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by_key(|key| (key.id(), key.created()));
        keys.dedup_by_key(|key| key.id());
        keys.sort_by_key(|key| (key.created(), key.id()));
        Self {
            keys: keys
                .into_iter()
                .map(|key| RingKey {
                    id: key.id(),
                    created: key.created(),
                    signing: EncodingKey::from_secret(key.as_bytes()),
                    verifying: DecodingKey::from_secret(key.as_bytes()),
                })
                .collect(),
            validation,
        }
    }

    /// Returns whether it has this key. It never blocks and never allocates.
    pub(super) fn contains(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether it has no key. A ring in use has one.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the keys and the times of their creation, the newest last.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, SystemTime)> {
        self.keys.iter().map(|key| (key.id, key.created))
    }

    /// Returns the key that signs at `now`: the newest that has been there for `delay`, so that
    /// every gateway has it. Without such a key the oldest signs.
    pub fn signer(&self, delay: Duration, now: SystemTime) -> Option<KeyId> {
        self.signing(delay, now).map(|key| key.id)
    }

    /// Returns the time at which the key that signs at `now` was created.
    pub(super) fn signer_created(&self, delay: Duration, now: SystemTime) -> Option<SystemTime> {
        self.signing(delay, now).map(|key| key.created)
    }

    fn signing(&self, delay: Duration, now: SystemTime) -> Option<&RingKey> {
        let is_known = |key: &&RingKey| {
            now.duration_since(key.created)
                .is_ok_and(|age| age >= delay)
        };
        self.keys
            .iter()
            .rfind(is_known)
            .or_else(|| self.keys.first())
    }

    /// Signs claims of this issuer with the key that signs at `now`.
    pub(super) fn sign(
        &self,
        issuer: &str,
        claims: &Claims,
        delay: Duration,
        now: SystemTime,
    ) -> Option<String> {
        let key = self.signing(delay, now)?;
        let claims = &Signed {
            issuer,
            audience: AUDIENCE,
            claims,
        };
        let header = Header {
            kid: Some(key.id.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, claims, &key.signing).ok()
    }

    /// Returns the claims of a token that one of the keys signed: the one that the token names, or
    /// any if it names none, as tokens of earlier versions do.
    pub(super) fn verify(&self, token: &[u8]) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let mut keys = self.keys.iter().filter(|key| {
            let kid = header.kid.as_deref();
            kid.is_none_or(|kid| kid.parse() == Ok(key.id))
        });
        keys.find_map(|key| {
            let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation);
            Some(Claims {
                key: key.id,
                ..decoded.ok()?.claims
            })
        })
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
