//! Tokens that no gateway may take, made from one that it takes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returns a valid token as an attacker changes it: `alg-none`, `alg-none-signed`, `unsigned` or
/// `cut`; `None` for any other name.
pub fn forged(how: &str, token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let _header = parts.next()?;
    let claims = parts.next()?;
    let signature = parts.next()?;
    let no_algorithm = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    Some(match how {
        "alg-none" => format!("{no_algorithm}.{claims}."),
        "alg-none-signed" => format!("{no_algorithm}.{claims}.{signature}"),
        "unsigned" => token.rsplit_once('.')?.0.to_owned(),
        "cut" => token.get(..token.len().checked_sub(5)?)?.to_owned(),
        _ => return None,
    })
}
