//! The parts of a token that are read before its signature is verified. Pure, and cheap: anybody may send
//! any token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value};

use super::key_set::KID_BYTES_MAX;

/// The longest token. A head has more room, but a token of this size is no honest one.
pub(super) const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The longest header of a token, encoded: anybody can have it read. Some hold a certificate.
pub(super) const HEADER_BYTES_MAX: usize = 4 << 10;
/// The algorithms that are taken, whatever the issuer's metadata says: each is by a public key and
/// has 128 bits of security. With HMAC, whoever knows the public key could sign.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// The key that a token says it is signed by.
pub(super) struct KeyName {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
}

impl KeyName {
    /// Reads the header of a token.
    ///
    /// # Errors
    /// It is no token that any key could make good: the reason, which shows nothing of it.
    pub(super) fn of(token: &[u8]) -> Result<Self, &'static str> {
        let end_of_header = token.iter().position(|byte| *byte == b'.');
        let has_size = token.len() <= TOKEN_BYTES_MAX
            && end_of_header.is_some_and(|end| end <= HEADER_BYTES_MAX);
        if !has_size {
            return Err("it is no JWT, or too long");
        }
        let header = jsonwebtoken::decode_header(token);
        let header = header.map_err(|_| "its header is none of a JWT")?;
        if !is_of_access_token(&header) {
            return Err("its algorithm, type or an extension is not accepted");
        }
        let kid = header.kid.filter(|kid| kid.len() <= KID_BYTES_MAX);
        Ok(Self {
            kid: kid.ok_or("it names no key")?,
            algorithm: header.alg,
        })
    }
}

/// Returns the claims of a token whose signature nobody has looked at.
pub(super) fn unverified_claims(token: &[u8]) -> Option<Map<String, Value>> {
    let mut parts = token.split(|byte| *byte == b'.').skip(1);
    let claims = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// Returns whether a token may be one for access, or an ID token: not one of another type (RFC 8725,
/// section 3.11), and without extensions that have to be understood (RFC 7515, section 4.1.11).
fn is_of_access_token(header: &Header) -> bool {
    const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];
    let typ = header.typ.as_deref();
    ALGORITHMS.contains(&header.alg)
        && header.crit.is_none()
        // Otherwise it holds another token, or is compressed.
        && header.cty.is_none()
        && header.zip.is_none()
        && header.enc.is_none()
        && typ.is_none_or(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)))
}
