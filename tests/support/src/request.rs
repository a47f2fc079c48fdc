//! Builds the bytes of an ordinary request, so that a test says only what matters in it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[derive(Clone)]
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

pub(crate) fn get(target: &str) -> Request {
    Request::new("GET", target)
}

pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Request {
    Request {
        body: body.into(),
        ..Request::new("POST", target)
    }
}

impl Request {
    fn new(method: &str, target: &str) -> Self {
        Self {
            head: format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n"),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").expect("a string takes text");
        self
    }

    pub(crate) fn cookie(self, token: &str) -> Self {
        self.header("Cookie", &format!("access_token={token}"))
    }

    pub(crate) fn basic(self, user: &str, password: &str) -> Self {
        self.header("Authorization", &basic(format!("{user}:{password}")))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        if self.head.starts_with("POST") {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// The value of an `Authorization` header with these credentials, whatever their bytes.
pub(crate) fn basic(credentials: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}
