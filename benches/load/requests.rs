//! The bytes of requests, made beforehand: a load generator that formats would measure itself.

use std::sync::Arc;

use super::body::{Body, Coding};
use super::users::Users;

/// The requests of a load, by number.
pub struct Requests {
    /// What stands before the token, between it and the customer, and behind that.
    parts: [Vec<u8>; 3],
    /// Whose token and customer go between; where there is one user, `whole` are the requests.
    users: Arc<Users>,
    whole: Vec<Vec<u8>>,
}

/// Of one user with a small body there are so many requests, with as many ordering keys.
const VARIANTS: usize = 64;
const SMALL_BYTES: usize = 4 << 10;

impl Requests {
    pub fn new(body: Body, users: &Arc<Users>) -> Self {
        let variants = if body.records() * body.record_bytes <= SMALL_BYTES {
            VARIANTS
        } else {
            1
        };
        let whole = |number| {
            let bytes = body.bytes(&Users::customer(0), number);
            [head(body, users.token(0), bytes.len()), bytes].concat()
        };
        let whole = if users.count() == 1 {
            (0..variants).map(whole).collect()
        } else {
            Vec::new()
        };
        Self {
            parts: parts(body),
            users: Arc::clone(users),
            whole,
        }
    }

    /// The bytes of a request, in `scratch` where they have to be put together. A user's turn comes
    /// again when all others have had theirs.
    pub fn get<'a>(&'a self, number: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.whole.is_empty() {
            return &self.whole[number % self.whole.len()];
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

fn head(body: Body, token: &str, length: usize) -> Vec<u8> {
    let coding = match body.coding {
        Coding::Plain => "",
        Coding::Gzip => "Content-Encoding: gzip\r\n",
        Coding::Zstd => "Content-Encoding: zstd\r\n",
    };
    let kind = body.content_type();
    format!(
        "POST /publish/allevents/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{coding}\
         Content-Length: {length}\r\nCookie: access_token={token}\r\n\r\n"
    )
    .into_bytes()
}

/// A request cut where its token and its customer stand. Only one plain record can be cut so.
fn parts(body: Body) -> [Vec<u8>; 3] {
    let customer = Users::customer(0);
    let text = body.plain(&customer, 0);
    let head = head(body, "{token}", text.len());
    let head = String::from_utf8(head).expect("a head is text");
    let text = String::from_utf8(text).expect("an event is text");
    let (before, between) = head.split_once("{token}").expect("a head has a token");
    let (body_before, behind) = text.split_once(&customer).expect("an event has a customer");
    [
        before.into(),
        (between.to_owned() + body_before).into(),
        behind.into(),
    ]
}
