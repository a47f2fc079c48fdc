//! A client of HTTP/1.1 over connections that stay open: of a gateway, or of an issuer of tokens.
//! There are as many connections as requests in flight. It follows no redirect.

mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

pub use url::Url;

/// The most bytes of an answer's body. Those of a gateway or an issuer have far fewer.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A client of one server.
pub struct Client {
    url: Url,
    tls: Option<TlsConnector>,
    /// The connections without a request; the one that was used last is the last.
    idle: Mutex<Vec<Connection>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// The reason why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made, or it failed before the answer.
    Connection(String),
    /// No answer came in time.
    TimedOut,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(reason) => formatter.write_str(reason),
            Self::TimedOut => formatter.write_str("it did not come in time"),
        }
    }
}

/// An open connection, which a task of its own drives.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// Makes a client. Without a configuration of TLS it sends in the clear.
    pub fn new(url: Url, tls: Option<ClientConfig>) -> Self {
        Self {
            url,
            tls: tls.map(|config| TlsConnector::from(Arc::new(config))),
            idle: Mutex::default(),
        }
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks for a page, with this access token if one is needed, and waits for it until `deadline`.
    pub async fn get(
        &self,
        path: &str,
        token: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut request = Request::get(self.url.target(path)).header(HOST, &self.url.authority);
        if let Some(token) = token {
            let bearer = HeaderValue::try_from(format!("Bearer {token}"));
            let no_token = |_| Failure::Connection("the token is none".to_owned());
            let mut bearer = bearer.map_err(no_token)?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request.body(Full::default());
        let request = request.map_err(|error| Failure::Connection(error.to_string()))?;
        self.send(request, deadline).await
    }

    /// Sends a request, and waits for its answer until `deadline`.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let exchange = timeout_at(deadline.into(), self.exchange(request));
        exchange.await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Sends a request on an idle connection, or on a new one. A request that never left because
    /// the server had closed its connection takes the next one.
    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        loop {
            let idle = self.take().await;
            let is_new = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect().await.map_err(Failure::Connection)?,
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => return self.finish(connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(Failure::Connection(chain(error.error()))),
                },
            }
        }
    }

    /// Reads the body of an answer, and keeps the connection.
    async fn finish(
        &self,
        connection: Connection,
        response: Response<hyper::body::Incoming>,
    ) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await;
        let body = body.map_err(|error| Failure::Connection(chain(&*error)))?;
        self.idle.lock().push(connection);
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }

    /// Takes an idle connection that is still open.
    async fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().pop()?;
            if connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let Url { host, port, .. } = &self.url;
        let connected = TcpStream::connect((&**host, *port)).await;
        let stream = connected.map_err(|error| format!("{}: {error}", self.url))?;
        // Only slower without.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return open(TokioIo::new(stream)).await;
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| format!("{host} is no name that a certificate could have"))?;
        let secure = tls.connect(name, stream).await;
        let secure = secure.map_err(|error| format!("{}: {error}", self.url))?;
        open(TokioIo::new(secure)).await
    }
}

async fn open<T>(stream: T) -> Result<Connection, String>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let opened = handshake(stream).await;
    let (sender, connection) = opened.map_err(|error| chain(&error))?;
    let driver = tokio::spawn(async move {
        // Its error is also that of its request.
        let _ = connection.await;
    });
    Ok(Connection {
        sender,
        driver: driver.abort_handle(),
    })
}

/// Returns an error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
