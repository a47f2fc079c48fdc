//! Keys of an issuer, and what they sign.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaPublicKeyComponents,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// A key that signs tokens by one algorithm.
pub(super) struct SigningKey {
    pub(super) kid: &'static str,
    algorithm: &'static str,
    secret: Secret,
}

enum Secret {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a key for `RS256`, `PS256`, `ES256` or `EdDSA`.
    pub(super) fn new(kid: &'static str, algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let secret = match algorithm {
            "RS256" | "PS256" => Secret::Rsa(Box::new(rsa(2048))),
            "ES256" => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let bytes = EcdsaKeyPair::generate_pkcs8(curve, &random).expect("a key");
                let key = EcdsaKeyPair::from_pkcs8(curve, bytes.as_ref(), &random);
                Secret::Ec(key.expect("a key"))
            }
            "EdDSA" => {
                let bytes = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
                Secret::Ed(Ed25519KeyPair::from_pkcs8(bytes.as_ref()).expect("a key"))
            }
            other => panic!("no key for {other}"),
        };
        Self {
            kid,
            algorithm,
            secret,
        }
    }

    /// Returns the public key as an issuer publishes it.
    pub(super) fn jwk(&self) -> Value {
        let Self { kid, algorithm, .. } = self;
        match &self.secret {
            Secret::Rsa(key) => {
                let RsaPublicKeyComponents { n, e } =
                    RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({
                    "kty": "RSA", "kid": kid, "alg": algorithm, "use": "sig",
                    "n": part(n), "e": part(e),
                })
            }
            Secret::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": part(x), "y": part(y) })
            }
            Secret::Ed(key) => {
                let x = part(key.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
            }
        }
    }

    /// Signs any header and claims.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let random = SystemRandom::new();
        let bytes = message.as_bytes();
        let signature = match &self.secret {
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = if self.algorithm == "PS256" {
                    key.sign(&RSA_PSS_SHA256, &random, bytes, &mut signature)
                } else {
                    key.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
                };
                signed.expect("a signature");
                signature
            }
            Secret::Ec(key) => key
                .sign(&random, bytes)
                .expect("a signature")
                .as_ref()
                .into(),
            Secret::Ed(key) => key.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", part(signature))
    }

    /// Signs claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "kid": self.kid, "typ": "at+jwt" })
    }
}

/// ring makes no RSA keys.
fn rsa(bits: u32) -> RsaKeyPair {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt"])
        .arg(format!("rsa_keygen_bits:{bits}"))
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    let key = PrivatePkcs8KeyDer::from_pem_slice(&made.stdout).expect("PEM");
    RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a key")
}

pub(super) fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the second of Unix time.
pub(super) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
