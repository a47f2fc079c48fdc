//! Bare hyper with the gateway's settings: a runtime on each serving thread, to which connections
//! are handed in turn. It reads each body to its end, keeps nothing of it, and sends the gateway's
//! answer.

use std::convert::Infallible;
use std::net::{TcpListener, TcpStream};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

/// The gateway's default limit on a request's head.
const HEAD_BYTES: usize = 32 << 10;

/// Serves until the process is ended.
pub fn serve(threads: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    println!(
        "listening address={}",
        listener.local_addr().expect("the listener is bound")
    );
    // Each connection needs a descriptor.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    serve_on(listener, threads);
}

/// Serves on a listener that is already open, until the process is ended.
pub fn serve_on(listener: TcpListener, threads: usize) {
    let threads: Vec<_> = (0..threads).map(|_| start()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime is created");
    runtime.block_on(accept(listener, &threads));
}

fn start() -> UnboundedSender<TcpStream> {
    let (sender, receiver) = unbounded_channel();
    // The gateway's name, because a profile groups by thread name.
    thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime is created");
            LocalSet::new().block_on(&runtime, run(receiver));
        })
        .expect("a thread starts");
    sender
}

async fn accept(listener: TcpListener, threads: &[UnboundedSender<TcpStream>]) {
    listener
        .set_nonblocking(true)
        .expect("the listener becomes non-blocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("tokio takes the listener");
    for thread in threads.iter().cycle() {
        let (stream, _) = listener.accept().await.expect("a connection is accepted");
        stream
            .set_nodelay(true)
            .expect("the socket takes TCP_NODELAY");
        thread
            .send(stream.into_std().expect("tokio gives the socket back"))
            .expect("the serving thread runs");
    }
}

async fn run(mut receiver: UnboundedReceiver<TcpStream>) {
    while let Some(stream) = receiver.recv().await {
        spawn_local(async move {
            let stream = tokio::net::TcpStream::from_std(stream).expect("tokio takes the socket");
            let _ = http1::Builder::new()
                .title_case_headers(true)
                .max_buf_size(HEAD_BYTES)
                .header_read_timeout(None)
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let text = Bytes::from_static(br#"{"message":"Data published successfully"}"#);
    let mut answer = Response::new(Full::new(text));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}
