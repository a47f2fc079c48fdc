//! The bytes of requests, made beforehand: a load generator that formats would measure itself.

use std::sync::Arc;

use super::body::{Body, Coding};
use super::users::Users;

/// The requests of a load, by number.
pub struct Requests {
    /// What stands before the token, between it and the customer, and behind that.
    parts: [Vec<u8>; 3],
    /// Whose token and customer go between; where there is one user, `whole` is the request.
    users: Arc<Users>,
    whole: Option<Vec<u8>>,
}

impl Requests {
    pub fn new(body: Body, users: &Arc<Users>) -> Self {
        let mut requests = Self { parts: parts(body), users: Arc::clone(users), whole: None };
        if users.count() == 1 {
            let mut whole = head(body, users.token(0), body.bytes(&Users::customer(0)).len());
            whole.extend(body.bytes(&Users::customer(0)));
            requests.whole = Some(whole);
        }
        requests
    }

    /// The bytes of a request, in `scratch` where they have to be put together. A user's turn comes again when all others
    /// have had theirs.
    pub fn get<'a>(&'a self, number: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if let Some(whole) = &self.whole {
            return whole;
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
    let text = body.plain(&customer);
    let head = head(body, "{token}", text.len());
    let head = String::from_utf8(head).expect("a head is text");
    let text = String::from_utf8(text).expect("an event is text");
    let (before, between) = head.split_once("{token}").expect("a head has a token");
    let (body_before, behind) = text.split_once(&customer).expect("an event has a customer");
    [before.into(), (between.to_owned() + body_before).into(), behind.into()]
}
