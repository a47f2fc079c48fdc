//! Signatures that external issuers make, verified by ring.

use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// A public key with the one algorithm that it is used by.
pub(super) struct PublicKey {
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    /// The modulus and the exponent. ring refuses moduli outside of 2048 to 8192 bits.
    Rsa(&'static RsaParameters, Vec<u8>, Vec<u8>),
    /// A point of a curve.
    Point(&'static dyn VerificationAlgorithm, Vec<u8>),
}

impl PublicKey {
    /// Returns `None` for an algorithm that is not taken, and for a key of another form.
    pub(super) fn new(algorithm: Algorithm, key: &DecodingKeyKind) -> Option<Self> {
        let material = match (algorithm, key) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                Material::Rsa(&RSA_PKCS1_2048_8192_SHA256, n.clone(), e.clone())
            }
            (Algorithm::PS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                Material::Rsa(&RSA_PSS_2048_8192_SHA256, n.clone(), e.clone())
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                Material::Point(&ECDSA_P256_SHA256_FIXED, point.clone())
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => {
                Material::Point(&ED25519, point.clone())
            }
            _ => return None,
        };
        Some(Self {
            algorithm,
            material,
        })
    }
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        let verified = match &self.material {
            Material::Rsa(parameters, n, e) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            Material::Point(algorithm, point) => {
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
        };
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::DecodingKey;

    use super::*;
    use crate::identity::token::provider::install;

    #[track_caller]
    fn check(algorithm: Algorithm, key: &DecodingKey, message: &[u8], signature: &str) {
        install();
        let verify = |message: &[u8], signature: &str| {
            jsonwebtoken::crypto::verify(signature, message, key, algorithm).unwrap()
        };
        assert!(verify(message, signature));
        assert!(!verify(b"another message", signature));
        assert!(!verify(message, ""));
        assert!(!verify(message, &signature[..40]));
        let mut zeros = URL_SAFE_NO_PAD.decode(signature).unwrap();
        zeros.fill(0);
        assert!(!verify(message, &URL_SAFE_NO_PAD.encode(zeros)));
    }

    const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmN\
        vbS9pc19yb290Ijp0cnVlfQ";

    #[test]
    fn the_example_of_rs256_in_rfc_7515_is_verified() {
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJP\
            MEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf\
            63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwK\
            h9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuX\
            poQ";
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh\
            -0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vR\
            K5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc\
            6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Ioyp\
            GlUPQGe77Rw";
        let message = format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}");
        let key = DecodingKey::from_rsa_components(n, "AQAB").unwrap();
        check(Algorithm::RS256, &key, message.as_bytes(), signature);
    }

    #[test]
    fn the_example_of_es256_in_rfc_7515_is_verified() {
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTU\
            JqPP3-Kg6NU1Q";
        let message = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}");
        let key = DecodingKey::from_ec_components(x, y).unwrap();
        check(Algorithm::ES256, &key, message.as_bytes(), signature);
    }

    #[test]
    fn the_example_of_eddsa_in_rfc_8037_is_verified() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7s\
            VvpAr_MuM0KAg";
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let key = DecodingKey::from_ed_components(x).unwrap();
        check(Algorithm::EdDSA, &key, message, signature);
    }
}
