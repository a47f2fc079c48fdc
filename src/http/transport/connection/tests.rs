//! Tests of connections that a gateway which stops has just accepted.

use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::http::transport::{Pieces, Reply};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n";

struct Friendly;

impl Responder for Friendly {
    async fn answer(&self, _request: Request<Incoming>) -> Reply {
        Response::new(Pieces::from(Bytes::new())).into()
    }
}

/// Serves a connection while the gateway stops. Returns what the client reads, who does as `client`
/// says once the connection is served.
async fn served(client: impl AsyncFn(&mut DuplexStream)) -> String {
    let (mut near, far) = tokio::io::duplex(8192);
    let draining = Draining::default();
    draining.begin();
    let serve = serve(
        far,
        Protocol::Http1,
        ConnectionLimits::of_tests(Duration::from_mins(10)),
        &Friendly,
        &draining,
    );
    let ask = async {
        client(&mut near).await;
        let mut text = String::new();
        near.read_to_string(&mut text).await.expect("an end");
        text
    };
    let (ended, text) = tokio::join!(biased; serve, ask);
    ended.expect("an end in order");
    text
}

#[tokio::test]
async fn the_first_request_of_a_new_connection_is_answered() {
    let text = served(async |client| client.write_all(REQUEST).await.expect("it reads")).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.to_lowercase().contains("connection: close"), "{text}");
}

#[tokio::test]
async fn one_without_a_request_is_closed() {
    assert_eq!(served(async |_| {}).await, "");
}
