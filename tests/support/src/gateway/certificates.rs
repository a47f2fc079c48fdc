//! Certificates of the tests' own authorities.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
};
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
    serial: u64,
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
        self.server(&["127.0.0.1"])
    }

    /// Signs a certificate of a server with these names and addresses.
    pub fn server(&self, names: &[&str]) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).expect("names"))
    }

    /// Signs a certificate of a gateway at 127.0.0.1, which has expired.
    pub fn expired(&self) -> Identity {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        params.not_before = (SystemTime::now() - Duration::from_hours(48)).into();
        params.not_after = (SystemTime::now() - Duration::from_hours(24)).into();
        self.sign(params)
    }

    /// Signs a certificate of a client with this common name, and with this email among its
    /// alternative names.
    pub fn client(&self, name: &str, email: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .subject_alt_names
            .push(SanType::Rfc822Name(email.try_into().expect("ASCII")));
        self.sign(params)
    }

    /// Signs a list of revoked certificates in PEM, which is to be replaced `days` from now, or
    /// was `-days` ago.
    pub fn revoke(&self, identities: &[&Identity], days: i64) -> String {
        let now = SystemTime::now();
        let day = Duration::from_hours(24);
        let time = day * u32::try_from(days.unsigned_abs()).expect("few days");
        let next_update = if days < 0 { now - time } else { now + time };
        let revoked = |identity: &&Identity| RevokedCertParams {
            serial_number: SerialNumber::from(identity.serial),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: (now - day * 30).into(),
            next_update: next_update.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: identities.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).expect("a list");
        list.pem().expect("PEM")
    }

    fn sign(&self, mut params: CertificateParams) -> Identity {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
            serial,
        }
    }
}
