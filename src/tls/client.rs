//! Maps a client certificate to a user. The certificate has been verified before.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::config::ClientName;

/// Returns the email of the user that the certificate in `der` is mapped to. The fingerprint takes
/// precedence over all names; names that are mapped to different users give none.
pub(super) fn user_of<'u>(der: &[u8], users: &'u BTreeMap<ClientName, String>) -> Option<&'u str> {
    if let Some(user) = users.get(&fingerprint(der)) {
        return Some(user);
    }
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut found = names(&certificate)
        .into_iter()
        .filter_map(|name| users.get(&name));
    let first = found.next()?;
    found.all(|user| user == first).then_some(&**first)
}

fn fingerprint(der: &[u8]) -> ClientName {
    ClientName::Fingerprint(thumbprint(der))
}

/// Returns the SHA-256 digest of a certificate in DER: `x5t#S256` of RFC 7515, section 4.1.8.
pub(super) fn thumbprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
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

    fn users(list: &[(&str, &str)]) -> BTreeMap<ClientName, String> {
        list.iter()
            .map(|(name, user)| (name.parse().expect("a name"), (*user).to_owned()))
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
    fn each_name_gives_its_user() {
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
            assert_eq!(user_of(&der, &users(&[(name, "a")])), Some("a"), "{name}");
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
    fn names_that_disagree_give_no_user_and_the_fingerprint_takes_precedence() {
        let der = certificate();
        let two = [("dns:nifi.example.com", "a"), ("cn:NiFi 1", "b")];
        assert_eq!(user_of(&der, &users(&two)), None);
        let agreed = [("dns:nifi.example.com", "a"), ("cn:NiFi 1", "a")];
        assert_eq!(user_of(&der, &users(&agreed)), Some("a"));
        let mut with_fingerprint = users(&two);
        with_fingerprint.insert(fingerprint(&der), "c".into());
        assert_eq!(user_of(&der, &with_fingerprint), Some("c"));
        assert_eq!(user_of(b"no certificate", &users(&two)), None);
    }
}
