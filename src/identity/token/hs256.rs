//! HS256 for `jsonwebtoken`, with HMAC-SHA-256 by ring.
//!
//! The crate's own providers bring RSA and elliptic curves along, which nothing here uses. This one
//! refuses every other algorithm.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::hmac;

/// Makes `jsonwebtoken` use this provider in the whole process. Later calls change nothing.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the type of a factory")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    check(*algorithm, key.family())?;
    Ok(Box::new(Hs256::new(key.as_bytes())))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the type of a factory")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    check(*algorithm, key.family())?;
    Ok(Box::new(Hs256::new(key.try_get_as_bytes()?)))
}

fn check(algorithm: Algorithm, family: AlgorithmFamily) -> Result<()> {
    if algorithm != Algorithm::HS256 {
        Err(new_error(ErrorKind::UnsupportedAlgorithm))
    } else if family != AlgorithmFamily::Hmac {
        Err(new_error(ErrorKind::InvalidKeyFormat))
    } else {
        Ok(())
    }
}

/// A key for HMAC-SHA-256.
struct Hs256(hmac::Key);

impl Hs256 {
    fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Verifies in constant time.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_signs_and_verifies_the_example_of_rfc_7515() {
        // RFC 7515, A.1.
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjA\
            zZr1Z9CAow==";
        let message = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzM\
            DA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        install();
        let signing = EncodingKey::from_urlsafe_base64_secret(key).unwrap();
        let verifying = DecodingKey::from_secret(signing.as_bytes());
        let signed = jsonwebtoken::crypto::sign(message, &signing, Algorithm::HS256).unwrap();
        let verify = |signature: &str, message: &[u8]| {
            jsonwebtoken::crypto::verify(signature, message, &verifying, Algorithm::HS256).unwrap()
        };
        assert_eq!(signed, signature);
        assert!(verify(signature, message));
        assert!(!verify(signature, b"another message"));
        assert!(!verify(&signature[..40], message));
        assert!(!verify("", message));
    }

    #[test]
    fn every_other_algorithm_is_an_error() {
        let secret = [7; 32];
        for algorithm in [
            Algorithm::HS384,
            Algorithm::HS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::EdDSA,
        ] {
            assert!(signer(&algorithm, &EncodingKey::from_secret(&secret)).is_err());
            assert!(verifier(&algorithm, &DecodingKey::from_secret(&secret)).is_err());
        }
        assert!(signer(&Algorithm::HS256, &EncodingKey::from_rsa_der(&secret)).is_err());
        assert!(verifier(&Algorithm::HS256, &DecodingKey::from_rsa_der(&secret)).is_err());
    }
}
