//! The bytes of requests. They are made beforehand, so that formatting them is not measured.

use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use super::body::{Body, Coding};
use super::users::Users;

/// The requests of a load, by number.
pub struct Requests {
    /// The bytes before the token, between the token and the customer, and after the customer.
    parts: [Vec<u8>; 3],
    /// The users whose tokens and customers are put between the parts.
    users: Arc<Users>,
    /// The whole requests, if there is one user; otherwise empty.
    whole: Vec<Vec<u8>>,
    /// The beginning of each request's idempotency key, if it has one: no run repeats another's.
    run: Option<u128>,
}

/// Requests of one user with a small body, with as many ordering keys.
const VARIANTS: usize = 64;
/// The largest small body.
const SMALL_BYTES: usize = 4 << 10;

impl Requests {
    pub fn new(body: Body, users: &Arc<Users>) -> Self {
        let variants = if body.records() * body.record_bytes <= SMALL_BYTES {
            VARIANTS
        } else {
            1
        };
        let whole = if users.count() == 1 {
            (0..variants)
                .map(|number| {
                    let bytes = body.bytes(&Users::customer(0), number);
                    [head(body, users.token(0), bytes.len()), bytes].concat()
                })
                .collect()
        } else {
            Vec::new()
        };
        Self {
            parts: parts(body),
            users: Arc::clone(users),
            whole,
            run: None,
        }
    }

    /// Gives each request an idempotency key of its own. There must be one user.
    #[allow(dead_code, reason = "some benches have no use for it")]
    pub fn with_keys(mut self) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.run = Some(now.expect("it is after 1970").as_nanos());
        self
    }

    /// Returns the bytes of a request, put together in `scratch` if there are several users or keys.
    /// The users take turns.
    pub fn get<'a>(&'a self, number: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.whole.is_empty() {
            let whole = &self.whole[number % self.whole.len()];
            let Some(run) = self.run else {
                return whole;
            };
            let (line, rest) = whole.split_at(REQUEST_LINE.len());
            scratch.clear();
            scratch.extend_from_slice(line);
            write!(scratch, "Idempotency-Key: {run:x}-{number:016x}\r\n").expect("it is memory");
            scratch.extend_from_slice(rest);
            return scratch;
        }
        let user = number % self.users.count();
        scratch.clear();
        scratch.extend_from_slice(&self.parts[0]);
        scratch.extend_from_slice(self.users.token(user).as_bytes());
        scratch.extend_from_slice(&self.parts[1]);
        scratch.extend_from_slice(Users::customer(user).as_bytes());
        scratch.extend_from_slice(&self.parts[2]);
        scratch
    }
}

const REQUEST_LINE: &str = "POST /publish/allevents/ HTTP/1.1\r\n";

fn head(body: Body, token: &str, length: usize) -> Vec<u8> {
    let coding = match body.coding {
        Coding::Plain => "",
        Coding::Gzip => "Content-Encoding: gzip\r\n",
        Coding::Zstd => "Content-Encoding: zstd\r\n",
    };
    let kind = body.content_type();
    format!(
        "{REQUEST_LINE}Host: 127.0.0.1\r\nContent-Type: {kind}\r\n{coding}\
         Content-Length: {length}\r\nCookie: access_token={token}\r\n\r\n"
    )
    .into_bytes()
}

/// Returns a request cut at its token and at its customer. The body is one record, not compressed.
fn parts(body: Body) -> [Vec<u8>; 3] {
    let customer = Users::customer(0);
    let text = body.plain(&customer, 0);
    let head = head(body, "{token}", text.len());
    let head = String::from_utf8(head).expect("the head is text");
    let text = String::from_utf8(text).expect("the event is text");
    let (before, between) = head.split_once("{token}").expect("the head has a token");
    let (body_before, behind) = text
        .split_once(&customer)
        .expect("the event has a customer");
    [
        before.into(),
        (between.to_owned() + body_before).into(),
        behind.into(),
    ]
}
