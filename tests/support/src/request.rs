//! Builds the bytes of an ordinary request, so that a test says only what matters in it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A request over HTTP/1.1.
#[derive(Clone)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

/// Begins a GET request.
pub fn get(target: &str) -> Request {
    Request::new("GET", target)
}

/// Begins a POST request.
pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Request {
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

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").expect("a string takes text");
        self
    }

    /// Adds a cookie with an access token.
    pub fn cookie(self, token: &str) -> Self {
        self.header("Cookie", &format!("access_token={token}"))
    }

    /// Adds Basic credentials.
    pub fn basic(self, user: &str, password: &str) -> Self {
        self.header("Authorization", &basic(format!("{user}:{password}")))
    }

    /// The head alone, for a body that the test sends by itself, framed by a header such as
    /// `Content-Length: 100`.
    pub fn head(&self, framing: &str) -> String {
        format!("{}{framing}\r\n\r\n", self.head)
    }

    /// The request as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        if self.head.starts_with("POST") {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// Returns the value of an `Authorization` header with these credentials, of any bytes.
pub fn basic(credentials: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}
