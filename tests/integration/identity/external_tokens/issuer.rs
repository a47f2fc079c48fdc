//! An issuer of tokens in the test's own hands: it serves its metadata and its keys over HTTP or
//! HTTPS, is away or stalls on demand, and counts what it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use iem_test_support::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::keys::SigningKey;

/// A running issuer. Its thread ends with the test.
pub(super) struct Issuer {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_away: bool,
    is_stalled: bool,
    redirect: Option<String>,
    /// Connections that get no answer.
    stalled: Vec<TcpStream>,
    metadata: String,
    keys: String,
    fetches: usize,
}

impl Issuer {
    /// Starts an issuer with these keys, over plain HTTP.
    pub(super) fn start(keys: &[&SigningKey]) -> Self {
        Self::serve(keys, "http", None)
    }

    /// As [`start`](Self::start), over HTTPS.
    pub(super) fn secure(keys: &[&SigningKey], identity: &Identity) -> Self {
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"));
        Self::serve(keys, "https", Some(Arc::new(config.expect("an identity"))))
    }

    fn serve(keys: &[&SigningKey], scheme: &'static str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let issuer = Self {
            address: listener.local_addr().expect("an address"),
            scheme,
            state: Arc::default(),
        };
        let url = issuer.url();
        issuer.set_metadata(&json!({ "issuer": url, "jwks_uri": issuer.keys_url() }));
        issuer.set_keys(keys);
        let state = Arc::clone(&issuer.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let patience = Some(Duration::from_secs(10));
                stream.set_read_timeout(patience).expect("an option");
                {
                    let mut state = lock(&state);
                    if state.is_away {
                        continue;
                    }
                    if state.is_stalled {
                        state.stalled.push(stream);
                        continue;
                    }
                }
                // A client that does not trust it is gone in the middle.
                let _ = match &tls {
                    None => answer(stream, &state),
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).expect("a session");
                        answer(StreamOwned::new(session, stream), &state)
                    }
                };
            }
        });
        issuer
    }

    /// Returns its name, which is its URL.
    pub(super) fn url(&self) -> String {
        format!("{}://{}/realms/iem", self.scheme, self.address)
    }

    pub(super) fn keys_url(&self) -> String {
        format!("{}/keys?of=iem", self.url())
    }

    pub(super) fn set_keys(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.set_document(json!({ "keys": keys }).to_string());
    }

    /// Sets any document in place of the keys.
    pub(super) fn set_document(&self, document: String) {
        lock(&self.state).keys = document;
    }

    pub(super) fn set_metadata(&self, metadata: &Value) {
        lock(&self.state).metadata = metadata.to_string();
    }

    /// Makes it close each connection at once, or answer again.
    pub(super) fn set_away(&self, is_away: bool) {
        lock(&self.state).is_away = is_away;
    }

    /// Makes it take connections and say nothing, or answer again.
    pub(super) fn set_stalled(&self, is_stalled: bool) {
        lock(&self.state).is_stalled = is_stalled;
    }

    /// Makes it send whoever asks for keys to this URL.
    pub(super) fn redirect(&self, url: String) {
        lock(&self.state).redirect = Some(url);
    }

    /// Returns how often its keys were fetched.
    pub(super) fn fetches(&self) -> usize {
        lock(&self.state).fetches
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic")
}

/// Answers one request.
fn answer(stream: impl Read + Write, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body): (String, String) = {
        let mut state = lock(state);
        match first.split(' ').nth(1) {
            Some("/realms/iem/.well-known/openid-configuration") => {
                ("200 OK".to_owned(), state.metadata.clone())
            }
            Some("/realms/iem/keys?of=iem") => {
                state.fetches += 1;
                match &state.redirect {
                    None => ("200 OK".to_owned(), state.keys.clone()),
                    Some(url) => (format!("302 Found\r\nLocation: {url}"), String::new()),
                }
            }
            _ => ("404 Not Found".to_owned(), String::new()),
        }
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}
