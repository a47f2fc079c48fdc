//! Certificates of the tests' own authorities.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use std::time::{Duration, SystemTime};

/// An authority that signs certificates of gateways and of clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The private key, in PEM.
    pub key: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
}

impl Authority {
    /// Makes an authority with this common name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
                .expect("an authority"),
        )
    }

    /// The authority's own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate of a gateway at 127.0.0.1.
    pub fn gateway(&self) -> Identity {
        self.sign(&CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address"))
    }

    /// Signs a certificate of a gateway at 127.0.0.1, which has expired.
    pub fn expired(&self) -> Identity {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        params.not_before = (SystemTime::now() - Duration::from_hours(48)).into();
        params.not_after = (SystemTime::now() - Duration::from_hours(24)).into();
        self.sign(&params)
    }

    /// Signs a certificate of a client with this common name, and with this email among its
    /// alternative names.
    pub fn client(&self, name: &str, email: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .subject_alt_names
            .push(SanType::Rfc822Name(email.try_into().expect("ASCII")));
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }
}
