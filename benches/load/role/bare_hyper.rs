//! Bare hyper, as the gateway serves: a runtime on each serving thread, connections handed to them
//! in turn, the same settings. It reads each body to its end, keeps nothing of it, and gives the
//! answer that the gateway gives.

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

/// The gateway's default for a request's head.
const HEAD_BYTES: usize = 32 << 10;

/// Serves until the process is ended.
pub fn serve(threads: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!(
        "listening address={}",
        listener.local_addr().expect("a bound address")
    );
    // A connection is a descriptor.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    serve_on(listener, threads);
}

/// As [`serve`], on a listener that is open already.
pub fn serve_on(listener: TcpListener, threads: usize) {
    let threads: Vec<_> = (0..threads).map(|_| start()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(accept(listener, &threads));
}

fn start() -> UnboundedSender<TcpStream> {
    let (sender, receiver) = unbounded_channel();
    // Named as the gateway's, which a profile goes by.
    let thread = thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            LocalSet::new().block_on(&runtime, run(receiver));
        });
    thread.expect("a thread");
    sender
}

async fn accept(listener: TcpListener, threads: &[UnboundedSender<TcpStream>]) {
    listener
        .set_nonblocking(true)
        .expect("an option of sockets");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    for thread in threads.iter().cycle() {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option of TCP");
        thread
            .send(stream.into_std().expect("a socket"))
            .expect("a serving thread");
    }
}

async fn run(mut receiver: UnboundedReceiver<TcpStream>) {
    while let Some(stream) = receiver.recv().await {
        spawn_local(async move {
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
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
