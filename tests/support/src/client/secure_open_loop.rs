//! A client that sends over TLS at a constant rate, whether it is answered or not. It keeps the rules
//! of HTTP, and sends no request twice: one whose connection ends without an answer has failed.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use h2::client::SendRequest;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http2::translate;
use super::open_loop::{Call, Calls};
use super::secure::{client_config, server_name};
use crate::answer::Answer;
use crate::gateway::Authority;
use crate::request::{Request, post};

/// The time that an answer has before the call counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests under way at once. Others wait for their turn, and their time has begun: without a bound,
/// each stall would be followed by a storm of new connections.
const UNDER_WAY: usize = 16;
/// Connections over HTTP/2.
const HTTP2_CONNECTIONS: usize = 4;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, on connections that are kept alive.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A running client. It sends nothing more once this is dropped.
pub struct SecureOpenLoop {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Calls>>,
}

impl SecureOpenLoop {
    /// Publishes `rate` events a second as the holder of `token`, with ids that begin with `label`.
    /// Each id is the ordering value, too, and `edit` may add to each request.
    pub fn start(
        address: SocketAddr,
        authority: &Authority,
        protocol: Protocol,
        token: &str,
        label: &str,
        rate: u32,
        edit: fn(Request, &str) -> Request,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut config = client_config(authority);
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let connections = Connections {
            address,
            connector: TlsConnector::from(Arc::new(config)),
            turns: Semaphore::new(UNDER_WAY),
            idle: Mutex::default(),
            http2: [(); HTTP2_CONNECTIONS].map(|()| Mutex::default()),
        };
        let (token, label) = (token.to_owned(), label.to_owned());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let request = |id: &str| {
                let body =
                    format!(r#"{{"envcustomerid":"acme","splitby":"{id}","test_id":"{id}"}}"#);
                edit(post("/publish/allevents/", body).cookie(&token), id).bytes()
            };
            let gap = Duration::from_secs(1) / rate;
            run(connections, protocol, &label, gap, request, &stopped)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Sends nothing more, waits for the answers, and returns the calls.
    pub fn stop(mut self) -> Calls {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken only here");
        thread.join().expect("a client of the load")
    }
}

impl Drop for SecureOpenLoop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn run(
    connections: Connections,
    protocol: Protocol,
    label: &str,
    gap: Duration,
    request: impl Fn(&str) -> Vec<u8>,
    stop: &AtomicBool,
) -> Calls {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let connections = Arc::new(connections);
    runtime.block_on(async {
        let mut tasks = Vec::new();
        let mut due = Instant::now();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let id = format!("{label}-{number:08}");
            let bytes = request(&id);
            let connections = Arc::clone(&connections);
            tasks.push(tokio::spawn(async move {
                let _turn = connections.turns.acquire().await;
                let sent = Instant::now();
                let exchange = async {
                    match protocol {
                        Protocol::Http1 => connections.exchange(&bytes).await,
                        Protocol::Http2 => connections.exchange_http2(number, &bytes).await,
                    }
                };
                let status = match tokio::time::timeout(PATIENCE, exchange).await {
                    Ok(Ok(status)) => status,
                    Ok(Err(error)) => {
                        eprintln!("{id}: {error}");
                        0
                    }
                    Err(_) => 0,
                };
                Call {
                    key: id.clone(),
                    id,
                    due,
                    sent,
                    wait: due.elapsed(),
                    status,
                }
            }));
            due += gap;
        }
        let mut calls = Vec::with_capacity(tasks.len());
        for task in tasks {
            calls.push(task.await.expect("a call does not panic"));
        }
        Calls(calls)
    })
}

struct Connections {
    address: SocketAddr,
    connector: TlsConnector,
    turns: Semaphore,
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
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = crate::find(&bytes, b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let answer = Answer::parse_head(&bytes[..head]);
        let length: usize = answer
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or_default();
        while bytes.len() < head + 4 + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
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
