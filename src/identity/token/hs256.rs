//! HS256, with HMAC-SHA-256 by ring.

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use ring::hmac;

/// A key for HMAC-SHA-256.
pub(super) struct Hs256(hmac::Key);

impl Hs256 {
    pub(super) fn new(key: &[u8]) -> Self {
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
    use jsonwebtoken::{DecodingKey, EncodingKey};

    use super::*;
    use crate::identity::token::provider::install;

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
}
