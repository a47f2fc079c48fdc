//! A client that sends over TLS at a constant rate, whether it is answered or not. It keeps the rules
//! of HTTP, and sends no request twice: one whose connection ends without an answer has failed.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use h2::client::SendRequest;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http2::translate;
use super::open_loop::{OpenLoop, read_answer};
use super::secure::{client_config, server_name};
use crate::gateway::Authority;
use crate::request::{Request, post};

/// Requests under way at once. Others wait for their turn, and their time has begun: without a bound,
/// each stall would be followed by a storm of new connections.
const UNDER_WAY: usize = 16;
/// Connections over HTTP/2.
const HTTP2_CONNECTIONS: usize = 4;

/// Ordering values of one client.
const KEYS: usize = 8;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, on connections that are kept alive.
    Http1,
    /// HTTP/2.
    Http2,
}

impl OpenLoop {
    /// Publishes `rate` events a second over TLS as the holder of `token`, with ids that begin with
    /// `label`, and a few ordering values in turn. `edit` may add to each request.
    pub fn start_secure(
        address: SocketAddr,
        authority: &Authority,
        protocol: Protocol,
        token: &str,
        label: &str,
        rate: u32,
        edit: fn(Request, &str) -> Request,
    ) -> Self {
        let mut config = client_config(authority);
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let connections = Arc::new(Connections {
            address,
            connector: TlsConnector::from(Arc::new(config)),
            idle: Mutex::default(),
            http2: [(); HTTP2_CONNECTIONS].map(|()| Mutex::default()),
        });
        let (token, prefix) = (token.to_owned(), label.to_owned());
        let request = move |number: usize, id: &str| {
            let key = format!("{prefix}-{}", number % KEYS);
            let body = format!(r#"{{"envcustomerid":"acme","splitby":"{key}","test_id":"{id}"}}"#);
            let request = edit(post("/publish/allevents/", body).cookie(&token), id);
            (key, request.bytes())
        };
        let exchange = move |number: usize, request: Vec<u8>| {
            let connections = Arc::clone(&connections);
            async move {
                let status = match protocol {
                    Protocol::Http1 => connections.exchange(&request).await,
                    Protocol::Http2 => connections.exchange_http2(number, &request).await,
                };
                status.inspect_err(|error| eprintln!("request {number}: {error}"))
            }
        };
        Self::run(label, rate, UNDER_WAY, request, exchange)
    }
}

struct Connections {
    address: SocketAddr,
    connector: TlsConnector,
    /// Connections over HTTP/1.1 without a request on them, the longest idle first.
    idle: Mutex<VecDeque<TlsStream<TcpStream>>>,
    http2: [Mutex<Option<SendRequest<Bytes>>>; HTTP2_CONNECTIONS],
}

impl Connections {
    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.connector.connect(server_name(), stream).await
    }

    /// Takes an idle connection that the other side has not ended.
    async fn take(&self) -> Option<TlsStream<TcpStream>> {
        let mut idle = self.idle.lock().await;
        while let Some(mut stream) = idle.pop_front() {
            let ended = poll_fn(|context| {
                let mut byte = [0];
                let read = Pin::new(&mut stream).poll_read(context, &mut ReadBuf::new(&mut byte));
                Poll::Ready(read.is_ready())
            });
            if !ended.await {
                return Some(stream);
            }
        }
        None
    }

    /// Sends one request over HTTP/1.1, and returns the status of its answer.
    async fn exchange(&self, request: &[u8]) -> io::Result<u16> {
        let mut stream = match self.take().await {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        stream.write_all(request).await?;
        stream.flush().await?;
        let answer = read_answer(&mut stream).await?;
        if answer.header("connection").is_none() {
            self.idle.lock().await.push_back(stream);
        }
        Ok(answer.status)
    }

    /// Sends one request over HTTP/2, on one of the connections in turn, and returns the status of
    /// its answer.
    async fn exchange_http2(&self, number: usize, request: &[u8]) -> io::Result<u16> {
        let (request, body) = translate(request).expect("it can be said in HTTP/2");
        let mut sender = self.ready(number % HTTP2_CONNECTIONS).await?;
        let (response, mut stream) = sender
            .send_request(request, false)
            .map_err(io::Error::other)?;
        stream.send_data(body, true).map_err(io::Error::other)?;
        let (head, mut incoming) = response.await.map_err(io::Error::other)?.into_parts();
        while let Some(chunk) = incoming.data().await {
            let length = chunk.map_err(io::Error::other)?.len();
            let released = incoming.flow_control().release_capacity(length);
            released.map_err(io::Error::other)?;
        }
        Ok(head.status.as_u16())
    }

    /// Returns a connection that takes a request now: a new one, if the other side has told the one
    /// before to go.
    async fn ready(&self, place: usize) -> io::Result<SendRequest<Bytes>> {
        let mut current = self.http2[place].lock().await;
        if let Some(sender) = &*current
            && let Ok(sender) = sender.clone().ready().await
        {
            return Ok(sender);
        }
        let (sender, connection) = h2::client::handshake(self.connect().await?)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        let sender = sender.ready().await.map_err(io::Error::other)?;
        *current = Some(sender.clone());
        Ok(sender)
    }
}
