//! The cryptography of `jsonwebtoken`, by ring.
//!
//! The crate's own providers bring libraries along that nothing else here uses. This one signs by
//! HS256 alone, for our own tokens, and verifies those and what external issuers sign. It refuses
//! every other algorithm, and every key of another kind than the algorithm's.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};

use super::hs256::Hs256;
use super::public_key::PublicKey;

/// Makes `jsonwebtoken` use this provider in the whole process. Later calls change nothing.
pub(in crate::identity) fn install() {
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the type of a factory")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::HS256 {
        return Err(new_error(ErrorKind::UnsupportedAlgorithm));
    }
    check_family(key.family(), AlgorithmFamily::Hmac)?;
    Ok(Box::new(Hs256::new(key.as_bytes())))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the type of a factory")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    check_family(key.family(), algorithm.family())?;
    if *algorithm == Algorithm::HS256 {
        return Ok(Box::new(Hs256::new(key.try_get_as_bytes()?)));
    }
    let key = PublicKey::new(*algorithm, key.kind());
    let key = key.ok_or_else(|| new_error(ErrorKind::UnsupportedAlgorithm))?;
    Ok(Box::new(key))
}

/// A public key must never be taken for a secret, which everybody would know.
fn check_family(family: AlgorithmFamily, expected: AlgorithmFamily) -> Result<()> {
    if family == expected {
        Ok(())
    } else {
        Err(new_error(ErrorKind::InvalidKeyFormat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for key in [
            DecodingKey::from_rsa_der(&secret),
            DecodingKey::from_rsa_raw_components(&secret, &secret),
            DecodingKey::from_ec_der(&secret),
            DecodingKey::from_ed_der(&secret),
        ] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                assert!(verifier(&algorithm, &key).is_err());
            }
        }
        assert!(signer(&Algorithm::HS256, &EncodingKey::from_rsa_der(&secret)).is_err());
    }

    #[test]
    fn public_keys_verify_by_four_algorithms_alone() {
        let rsa = DecodingKey::from_rsa_raw_components(&[0xff; 256], &[1, 0, 1]);
        let ec = DecodingKey::from_ec_der(&[4; 65]);
        for (algorithm, key, is_taken) in [
            (Algorithm::RS256, &rsa, true),
            (Algorithm::PS256, &rsa, true),
            (Algorithm::RS384, &rsa, false),
            (Algorithm::RS512, &rsa, false),
            (Algorithm::PS384, &rsa, false),
            (Algorithm::PS512, &rsa, false),
            (Algorithm::ES256, &rsa, false),
            (Algorithm::ES256, &ec, true),
            (Algorithm::ES384, &ec, false),
            (Algorithm::EdDSA, &ec, false),
            (Algorithm::EdDSA, &DecodingKey::from_ed_der(&[7; 32]), true),
            // Not as n and e.
            (
                Algorithm::RS256,
                &DecodingKey::from_rsa_der(&[7; 32]),
                false,
            ),
        ] {
            assert_eq!(verifier(&algorithm, key).is_ok(), is_taken, "{algorithm:?}");
        }
    }
}
