//! The issuer's keys, read from a JSON Web Key Set (RFC 7517). Keys that cannot be used are left
//! out: of another kind, for another use, too short, or without an id.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::identity::token::KeyId;

/// The most keys of an issuer. Large ones have a dozen.
const KEYS_MAX: usize = 100;
/// The longest id of a key.
pub(super) const KID_BYTES_MAX: usize = 256;
/// The shortest (NIST SP 800-131A) and the longest RSA key. Strangers can have signatures verified, and
/// twice the bits cost four times as much.
const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 4096;
/// The longest exponent of an RSA key that ring takes.
const EXPONENT_BYTES_MAX: usize = 5;
/// A coordinate of P-256, and a key of Ed25519.
const POINT_BYTES: usize = 32;

/// Keys of one issuer.
#[derive(Default)]
pub(super) struct KeySet(Vec<IssuerKey>);

/// A public key, used by one algorithm alone (RFC 8725, section 3.1).
pub(super) struct IssuerKey {
    pub(super) id: KeyId,
    pub(super) kid: String,
    pub(super) verifying: DecodingKey,
    /// Of the algorithm alone; claims are checked elsewhere.
    pub(super) validation: Validation,
    algorithm: Algorithm,
}

/// Each key as its text: parsed, a document takes a hundred times as much memory.
#[derive(Deserialize)]
struct Document<'d> {
    #[serde(borrow)]
    keys: Vec<&'d RawValue>,
}

/// The members of a key that matter here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no key set, or has too many keys.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let document: Document<'_> = serde_json::from_slice(document)
            .map_err(|_| "is no JSON Web Key Set: an object with `keys`".to_owned())?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("has more than {KEYS_MAX} keys"));
        }
        let keys = document.keys.into_iter().filter_map(IssuerKey::read);
        Ok(Self(keys.collect()))
    }

    /// Returns the keys.
    pub(super) fn keys(&self) -> &[IssuerKey] {
        &self.0
    }

    /// Returns whether a key has this name.
    pub(super) fn knows(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid == kid)
    }

    /// Returns the keys that have this name and are used by this algorithm. There should be one.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> impl Iterator<Item = &IssuerKey> {
        let keys = self.0.iter();
        keys.filter(move |key| key.algorithm == algorithm && key.kid == kid)
    }

    /// Returns whether it has this key. It never blocks and never allocates.
    pub(super) fn contains(&self, id: KeyId) -> bool {
        self.0.iter().any(|key| key.id == id)
    }
}

impl IssuerKey {
    fn read(jwk: &RawValue) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(jwk.get()).ok()?;
        let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let ops = jwk.key_ops.as_ref();
        let is_for_verifying = ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let has_name = (1..=KID_BYTES_MAX).contains(&jwk.kid.len());
        if !is_for_signatures || !is_for_verifying || !has_name {
            return None;
        }
        let algorithm = jwk.algorithm()?;
        let (verifying, id) = jwk.material(algorithm)?;
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Some(Self {
            id,
            kid: jwk.kid,
            verifying,
            validation,
            algorithm,
        })
    }

    /// Returns the name of its algorithm.
    pub(super) fn algorithm(&self) -> impl fmt::Debug {
        self.algorithm
    }
}

impl Jwk {
    /// Returns the key's one algorithm. A key that names none is used by the usual one of its kind.
    fn algorithm(&self) -> Option<Algorithm> {
        match (&*self.kty, self.crv.as_deref(), self.alg.as_deref()) {
            ("RSA", _, Some("RS256") | None) => Some(Algorithm::RS256),
            ("RSA", _, Some("PS256")) => Some(Algorithm::PS256),
            ("EC", Some("P-256"), Some("ES256") | None) => Some(Algorithm::ES256),
            ("OKP", Some("Ed25519"), Some("EdDSA") | None) => Some(Algorithm::EdDSA),
            _ => None,
        }
    }

    fn material(&self, algorithm: Algorithm) -> Option<(DecodingKey, KeyId)> {
        match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => {
                let n = number(self.n.as_deref()?)?;
                let e = number(self.e.as_deref()?)?;
                let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
                let is_long_enough = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits);
                if !is_long_enough || !(1..=EXPONENT_BYTES_MAX).contains(&e.len()) {
                    return None;
                }
                let key = DecodingKey::from_rsa_raw_components(&n, &e);
                Some((key, KeyId::of_public(&[n, e].concat())))
            }
            Algorithm::ES256 => {
                let x = point(self.x.as_deref()?)?;
                let y = point(self.y.as_deref()?)?;
                // Not compressed (SEC 1, section 2.3.3).
                let key = [vec![4], x, y].concat();
                Some((DecodingKey::from_ec_der(&key), KeyId::of_public(&key)))
            }
            Algorithm::EdDSA => {
                let key = point(self.x.as_deref()?)?;
                Some((DecodingKey::from_ed_der(&key), KeyId::of_public(&key)))
            }
            _ => None,
        }
    }
}

/// Reads a positive number, without the zeros that some issuers put before it.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec())
}

fn point(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (bytes.len() == POINT_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests;
