//! The boundary between connections and the application that answers their requests.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};

/// A whole answer: no body is ever streamed.
pub type Answer = Response<Full<Bytes>>;

/// The client that sends a request, as far as its connection knows it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The address of the client itself where a configured proxy tells it.
    pub address: IpAddr,
    /// The email of the user that the client's certificate is mapped to.
    pub certified: Option<&'a str>,
    /// The SHA-256 digest of the client's certificate, mapped or not.
    pub thumbprint: Option<&'a [u8; 32]>,
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
    ) -> Answer;

    /// Returns the answer to a request over the bound on requests in HTTP/2.
    fn too_many_requests(&self) -> Answer;
}
