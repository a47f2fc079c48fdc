//! A client that keeps the rules of HTTP/2: the requests that the tests write for HTTP/1.1, said in
//! HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use h2::client::{ResponseFuture, SendRequest};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::answer::Answer;
use crate::find::find;

/// Longer than any deadline in the tests' configurations.
const PATIENCE: Duration = Duration::from_secs(30);
/// Fields that a message of HTTP/2 does not have.
const OF_HTTP1: [&str; 3] = ["host", "connection", "keep-alive"];

/// A connection over HTTP/2.
pub struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

impl Http2 {
    /// Connects to the gateway, by prior knowledge.
    pub fn open(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address)
                .await
                .expect("the gateway accepts a connection");
            let (sender, connection) = h2::client::handshake(stream).await.expect("a preface");
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Sends a request that is written for HTTP/1.1, and reads its answer.
    #[track_caller]
    pub fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        self.try_send(request.as_ref())
            .expect("it can be said in HTTP/2")
            .expect("an answer")
    }

    /// As [`send`](Self::send); `None` where the request cannot be said in HTTP/2.
    pub fn try_send(&self, request: &[u8]) -> Option<io::Result<Answer>> {
        let (request, body) = translate(request)?;
        let exchange = async { tokio::time::timeout(PATIENCE, self.exchange(request, body)).await };
        Some(
            self.runtime
                .block_on(exchange)
                .map_err(io::Error::from)
                .and_then(|answer| answer.map_err(io::Error::other)),
        )
    }

    /// Begins many requests at once, and reads their answers in this order.
    pub fn send_all(&self, requests: &[Vec<u8>]) -> Vec<Answer> {
        let exchanges = requests.iter().map(|request| {
            let (request, body) = translate(request).expect("it can be said in HTTP/2");
            self.exchange(request, body)
        });
        let all = async {
            tokio::time::timeout(PATIENCE, futures_util::future::join_all(exchanges)).await
        };
        let answers = self.runtime.block_on(all).expect("answers in time");
        answers
            .into_iter()
            .map(|answer| answer.expect("an answer"))
            .collect()
    }

    /// Sends the head of a POST without credentials and then `length` bytes of its body, as far as
    /// the gateway takes them. Returns the number of bytes that it took, and its answer, which is
    /// read only then.
    pub fn upload(&self, path: &str, length: usize) -> (usize, Result<Answer, h2::Error>) {
        let request = Request::post(format!("http://gateway{path}")).body(());
        let request = request.expect("a head");
        let upload = async {
            let mut sender = self.sender.clone().ready().await.expect("a connection");
            let (response, mut stream) = sender.send_request(request, false).expect("a stream");
            let mut taken = 0;
            while taken < length {
                stream.reserve_capacity((length - taken).min(64 * 1024));
                let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
                let Some(Ok(capacity)) = capacity else { break };
                let chunk = Bytes::from(vec![b'x'; capacity]);
                if stream.send_data(chunk, taken + capacity == length).is_err() {
                    break;
                }
                taken += capacity;
            }
            (taken, read(response).await)
        };
        let upload = async { tokio::time::timeout(PATIENCE, upload).await };
        self.runtime.block_on(upload).expect("an end in time")
    }

    async fn exchange(&self, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut stream) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            // One that was refused early need not be sent.
            let _ = stream.send_data(body, true);
        }
        read(response).await
    }
}

/// Reads an answer to its end.
async fn read(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut incoming) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk?;
        incoming.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let mut headers = Vec::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.push((name.to_string(), value));
    }
    Ok(Answer {
        version: "HTTP/2".to_owned(),
        status: head.status.as_u16(),
        headers,
        body,
        interim: 0,
    })
}

/// Translates a request to HTTP/2; `None` where its framing or its target is of HTTP/1.1 alone.
pub(super) fn translate(request: &[u8]) -> Option<(Request<()>, Bytes)> {
    let end = find(request, b"\r\n\r\n")?;
    let (head, body) = (&request[..end], &request[end + 4..]);
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut first = std::str::from_utf8(lines.next()?).ok()?.split(' ');
    let (method, target) = (first.next()?, first.next()?);
    if !target.starts_with('/') {
        return None;
    }
    let mut builder = Request::builder()
        .method(method)
        .uri(format!("http://gateway{target}"));
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        match name.as_str() {
            "transfer-encoding" | "expect" => return None,
            "content-length" if value != body.len().to_string() => return None,
            name if OF_HTTP1.contains(&name) => {}
            _ => builder = builder.header(name, value),
        }
    }
    Some((builder.body(()).ok()?, Bytes::copy_from_slice(body)))
}
