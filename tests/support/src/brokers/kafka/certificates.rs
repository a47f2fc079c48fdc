//! The certificates of a cluster, made anew for each: an authority, the certificate of its brokers,
//! and an authority that nobody should trust.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The brokers' key and certificate, as Kafka reads them.
pub(super) const KEYSTORE: &str = "broker.pem";
/// The authority that signed them.
pub(super) const AUTHORITY: &str = "authority.pem";
/// An authority that did not.
pub(super) const STRANGER: &str = "stranger.pem";

/// Writes all three into `folder`.
pub(super) fn make(folder: &Path) {
    let (authority, stranger) = (authority("authority"), authority("stranger"));
    let key = KeyPair::generate().expect("a key");
    let broker = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address is a name");
    let broker = broker.signed_by(&key, &authority).expect("a certificate");
    let write =
        |name, text: String| fs::write(folder.join(name), text).expect("a file in the folder");
    write(KEYSTORE, key.serialize_pem() + &broker.pem());
    write(AUTHORITY, authority.pem());
    write(STRANGER, stranger.pem());
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("a certificate")
}
