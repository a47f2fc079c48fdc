//! The name by which the configuration refers to a client certificate.

use std::str::FromStr;

use serde::Deserialize;

/// A name of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum ClientName {
    /// The SHA-256 digest of the whole certificate in DER: this one and no other.
    Fingerprint([u8; 32]),
    /// An alternative name that is a URI, such as a SPIFFE id; compared exactly.
    Uri(String),
    /// An alternative name that is an email; compared exactly.
    Email(String),
    /// An alternative name that is a DNS name, in lower case; a wildcard is a name like any other.
    Dns(String),
    /// The subject's common name, if it has exactly one; compared exactly.
    CommonName(String),
}

/// A text that is not a [`ClientName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a client certificate is named by \"sha256:<64 hexadecimal digits>\", \"uri:…\", \"email:…\", \
     \"dns:…\" or \"cn:…\""
)]
pub struct UnknownName;

impl FromStr for ClientName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let (kind, name) = text
            .split_once(':')
            .filter(|(_, name)| !name.is_empty())
            .ok_or(UnknownName)?;
        match kind {
            "sha256" => digest(name).map(Self::Fingerprint).ok_or(UnknownName),
            "uri" => Ok(Self::Uri(name.to_owned())),
            "email" => Ok(Self::Email(name.to_owned())),
            "dns" => Ok(Self::Dns(name.to_ascii_lowercase())),
            "cn" => Ok(Self::CommonName(name.to_owned())),
            _ => Err(UnknownName),
        }
    }
}

impl TryFrom<String> for ClientName {
    type Error = UnknownName;

    fn try_from(text: String) -> Result<Self, UnknownName> {
        text.parse()
    }
}

/// Parses hexadecimal digits, with or without the colons that `openssl x509 -fingerprint` puts
/// between the bytes.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(hexadecimal(*high)? * 16 + hexadecimal(*low)?).ok())
        .collect::<Option<Vec<u8>>>()?
        .try_into()
        .ok()
}

fn hexadecimal(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_name_is_refused() {
        for bad in [
            "",
            "nifi",
            "dns:",
            "ip:127.0.0.1",
            "sha256:00",
            "sha256:zz",
            &format!("sha256:{}", "g".repeat(64)),
        ] {
            assert_eq!(bad.parse::<ClientName>(), Err(UnknownName), "{bad}");
        }
    }
}
