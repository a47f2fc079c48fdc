//! The boundary between connections and the application that answers their requests.

use std::future::Future;
use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::{Request, Response};

use super::connection_budget::ConnectionPermit;
use super::pieces::Pieces;

/// A whole answer: its body is there before it begins.
pub type Answer = Response<Pieces>;

/// An answer, and the part of its request that has not been read.
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// A body of which more may come.
    pub rest: Option<Incoming>,
    /// The connection ends after this answer.
    pub is_last: bool,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            rest: None,
            is_last: false,
        }
    }
}

/// The client that sends a request, as far as its connection knows it.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// The address of the client itself where a configured proxy tells it.
    pub address: IpAddr,
    /// The email of the user that the client's certificate is mapped to.
    pub certified: Option<&'a str>,
    /// The SHA-256 digest of the client's certificate, mapped or not.
    pub thumbprint: Option<&'a [u8; 32]>,
    pub(super) permit: &'a ConnectionPermit,
}

impl Client<'_> {
    /// Notes that a request on the connection has proved its user. Other connections make room
    /// first.
    pub fn authenticate(&self) {
        self.permit.authenticate();
    }

    /// Waits for what a client without credentials sends. The connection is idle meanwhile, unless
    /// it has proved its user or another request is being answered: it makes room for others although
    /// it has a request. Returns `None` at once if too many requests of the connection wait so.
    pub async fn without_credentials<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        let waiting = self.permit.begin_waiting()?;
        let read = reading.await;
        waiting.end();
        Some(read)
    }
}

/// An application that a server serves. It cannot fail: whatever happens is an answer.
pub trait Application: Send + Sync + 'static {
    /// State that the application keeps for one connection, from request to request.
    type Connection: Default;

    /// A whole answer in HTTP/1.1, for a client over a bound on connections. None of its requests
    /// has been read.
    const TOO_MANY_CONNECTIONS: &'static [u8];

    /// Answers one request.
    async fn answer(
        &self,
        request: Request<Incoming>,
        client: Client<'_>,
        connection: &Self::Connection,
    ) -> Reply;

    /// Returns the answer to a request over the bound on requests in HTTP/2.
    fn too_many_requests(&self) -> Answer;

    /// Returns the answer to a request whose client has a certificate that was revoked since its
    /// handshake.
    fn revoked(&self) -> Answer;
}
