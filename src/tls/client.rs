//! Whom a client certificate stands for. Pure; the certificate has been verified before.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What a certificate may be known by.
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

/// A text that is no [`ClientName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a client certificate is named by \"sha256:<64 hexadecimal digits>\", \"uri:…\", \"email:…\", \"dns:…\" or \"cn:…\""
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

/// Reads hexadecimal digits, with or without the colons that `openssl x509 -fingerprint` puts
/// between the bytes.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
    };
    pairs
        .iter()
        .map(byte)
        .collect::<Option<Vec<u8>>>()?
        .try_into()
        .ok()
}

/// The email of the user that the certificate in `der` stands for. The fingerprint goes before all
/// names; names that lead to different users lead to none.
pub(super) fn user_of(der: &[u8], users: &BTreeMap<ClientName, Arc<str>>) -> Option<Arc<str>> {
    if let Some(user) = users.get(&fingerprint(der)) {
        return Some(Arc::clone(user));
    }
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut found = names(&certificate)
        .into_iter()
        .filter_map(|name| users.get(&name));
    let first = found.next()?;
    found.all(|user| user == first).then(|| Arc::clone(first))
}

fn fingerprint(der: &[u8]) -> ClientName {
    ClientName::Fingerprint(Sha256::digest(der).into())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<ClientName> {
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        names.extend(
            alternative
                .value
                .general_names
                .iter()
                .filter_map(|name| match name {
                    GeneralName::URI(uri) => Some(ClientName::Uri((*uri).to_owned())),
                    GeneralName::RFC822Name(email) => Some(ClientName::Email((*email).to_owned())),
                    GeneralName::DNSName(name) => Some(ClientName::Dns(name.to_ascii_lowercase())),
                    _ => None,
                }),
        );
    }
    let mut common = certificate.subject().iter_common_name();
    if let (Some(name), None) = (common.next(), common.next())
        && let Ok(name) = name.as_str()
    {
        names.push(ClientName::CommonName(name.to_owned()));
    }
    names
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn users(list: &[(&str, &str)]) -> BTreeMap<ClientName, Arc<str>> {
        list.iter()
            .map(|(name, user)| (name.parse().expect("a name"), Arc::from(*user)))
            .collect()
    }

    fn certificate() -> Vec<u8> {
        let mut params =
            CertificateParams::new(vec!["NiFi.example.com".to_owned()]).expect("a name");
        let ia5 = |text: &str| text.try_into().expect("ASCII");
        params
            .subject_alt_names
            .push(SanType::URI(ia5("spiffe://example.com/nifi")));
        params
            .subject_alt_names
            .push(SanType::Rfc822Name(ia5("nifi@example.com")));
        params.distinguished_name.push(DnType::CommonName, "NiFi 1");
        let key = KeyPair::generate().expect("a key");
        params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .to_vec()
    }

    #[test]
    fn each_name_leads_to_its_user() {
        let der = certificate();
        let hex = hex_fingerprint(&der);
        for name in [
            "dns:nifi.example.com",
            "dns:NIFI.example.com",
            "uri:spiffe://example.com/nifi",
            "email:nifi@example.com",
            "cn:NiFi 1",
            &format!("sha256:{hex}"),
            &format!("sha256:{}", hex.to_uppercase()),
        ] {
            assert_eq!(
                user_of(&der, &users(&[(name, "a")])).as_deref(),
                Some("a"),
                "{name}"
            );
        }
        for name in [
            "dns:example.com",
            "cn:nifi 1",
            "email:NIFI@example.com",
            "uri:spiffe://example.com/",
        ] {
            assert_eq!(user_of(&der, &users(&[(name, "a")])), None, "{name}");
        }
    }

    fn hex_fingerprint(der: &[u8]) -> String {
        let ClientName::Fingerprint(digest) = fingerprint(der) else {
            unreachable!("it is one")
        };
        digest.map(|byte| format!("{byte:02x}")).concat()
    }

    #[test]
    fn names_that_disagree_lead_to_nobody_and_the_fingerprint_goes_first() {
        let der = certificate();
        let two = [("dns:nifi.example.com", "a"), ("cn:NiFi 1", "b")];
        assert_eq!(user_of(&der, &users(&two)), None);
        let agreed = [("dns:nifi.example.com", "a"), ("cn:NiFi 1", "a")];
        assert_eq!(user_of(&der, &users(&agreed)).as_deref(), Some("a"));
        let mut with_fingerprint = users(&two);
        with_fingerprint.insert(fingerprint(&der), "c".into());
        assert_eq!(user_of(&der, &with_fingerprint).as_deref(), Some("c"));
        assert_eq!(user_of(b"no certificate", &users(&two)), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
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
