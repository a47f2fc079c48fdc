//! An HTTP answer as it came: names in the case they were sent in, the body's bytes.

use std::fmt;

use serde_json::Value;

/// An answer.
#[derive(Clone, Default)]
pub struct Answer {
    /// The version of HTTP, such as `HTTP/1.1`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The headers, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The number of interim answers (100 Continue) came before it.
    pub interim: usize,
}

impl Answer {
    /// Reads the head of an answer over HTTP/1, without the empty line at its end.
    pub fn parse_head(head: &[u8]) -> Self {
        let head = std::str::from_utf8(head).expect("an answer's head is ASCII");
        let mut lines = head.split("\r\n");
        let mut status_line = lines.next().expect("a status line").splitn(3, ' ');
        let version = status_line.next().expect("a version").to_owned();
        assert!(["HTTP/1.0", "HTTP/1.1"].contains(&&*version), "{version}");
        let status = status_line
            .next()
            .and_then(|code| code.parse().ok())
            .expect("a status code");
        let headers = lines
            .map(|line| line.split_once(": ").expect("a header has a colon"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            version,
            status,
            headers,
            body: Vec::new(),
            interim: 0,
        }
    }

    /// The first header of this name, in whatever case it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(sent, _)| sent.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON ({error}): {self:?}"))
    }

    /// The body's `message`.
    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_else(|| panic!("no message in {self:?}"))
            .to_owned()
    }

    /// The access token that a token answer carries.
    pub fn access_token(&self) -> String {
        self.token("access_token")
    }

    /// The refresh token that a token answer carries.
    pub fn refresh_token(&self) -> String {
        self.token("refresh_token")
    }

    fn token(&self, name: &str) -> String {
        self.json()["data"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
            .to_owned()
    }

    /// Fails the test, showing the answer, unless this is its status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Fails the test unless this is the whole body.
    #[track_caller]
    pub fn body_is(self, body: &str) -> Self {
        assert_eq!(self.text(), body, "{self:?}");
        self
    }

    /// Fails the test unless the client is told, in whole seconds and never 0, when to come back.
    #[track_caller]
    pub fn says_when_to_retry(self) -> Self {
        let retry = self.headers.iter().find(|(name, _)| name == "Retry-After");
        let seconds = retry.and_then(|(_, value)| value.parse::<u32>().ok());
        assert!(
            seconds.is_some_and(|seconds| seconds >= 1),
            "no usable Retry-After in {self:?}"
        );
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.version, self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.text())
    }
}
