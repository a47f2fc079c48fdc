//! Strangers who hold connections: idle, half of a head sent, half of a handshake done. They make
//! room for newcomers, and clients with credentials stay.

use std::net::IpAddr;
use std::time::Duration;

use iem_test_support::frames::{Frame, GOAWAY, HEADERS, PING, SETTINGS};
use iem_test_support::{
    Authority, Connection, Curl, Frames, Gateway, Home, OpenLoop, client_hello, eventually, get,
    post, proxy_header,
};

const EVENTS: &str = "/publish/allevents/";
const REFRESH: &str = "/api/v1/user/token/refresh";
const HEALTHCHECK: &str = "/publish/healthcheck/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const INITIAL_WINDOW_SIZE: u16 = 4;
const SOON: Duration = Duration::from_secs(10);
/// All connections that the gateway of [`strangers_who_hold_all_connections_keep_nobody_out`] has.
const CONNECTIONS: u16 = 200;
/// The connections of each stranger. Together they are more than all.
const EACH: u16 = 50;

/// Opens connections of five addresses which hold on to them in every way that needs no
/// credentials.
fn hold(gateway: &Gateway) -> Vec<Connection> {
    let unknown = post(EVENTS, RECORD).bytes();
    let refresh = post(REFRESH, r#"{"refresh_token":"x"}"#).bytes();
    let mut held = Vec::new();
    for address in 2..7 {
        for number in 0..EACH {
            let peer = IpAddr::from([127, 0, 0, address]);
            let mut connection = Connection::from_peer(gateway.address, peer);
            let first: &[u8] = match number % 6 {
                0 => b"",
                1 => b"POST /publish/allevents/ HTTP/1.1\r\nHost: gate",
                2 => b"GET /publish/healthcheck/ HTTP/1.1\r\nHost: gateway\r\n\r\n",
                3 => b"PRI * HTTP/2.0\r\n\r\n",
                4 => &refresh[..refresh.len() - 1],
                _ => &unknown,
            };
            // One that has made room already does not read it.
            let _ = connection.try_send(first);
            held.push(connection);
        }
    }
    held
}

#[test]
fn strangers_who_hold_all_connections_keep_nobody_out() {
    rlimit::increase_nofile_limit(4096).expect("the limit of open files");
    let gateway = Home::new()
        .set("server.max_connections", i64::from(CONNECTIONS))
        .set("server.header_timeout", "1m")
        .start();
    let token = gateway.token("alice");
    let publish = post(EVENTS, RECORD).cookie(&token).bytes();
    let mut idle = gateway.connect();
    idle.send(&publish).answer().expect(200);
    let good = OpenLoop::start(gateway.address, &token, "good", 50, &["a".to_owned()]);
    let mut held = Vec::new();
    for _ in 0..4 {
        let others = hold(&gateway);
        let mut newcomer = gateway.connect();
        newcomer.send(&publish).answer().expect(200);
        gateway.log_in("bob@globex.example", "wrong").expect(401);
        // Those of the round before have made room by now.
        held = others;
    }
    let calls = good.stop();
    let refused = calls.with(|call| call.status != 200);
    assert!(refused.0.is_empty(), "{refused:?}");
    assert!(idle.is_quiet(), "a connection with credentials stays");
    idle.send(&publish).answer().expect(200);
    let evicted = gateway.reached("evicted");
    assert!(evicted >= 600, "{evicted}");
    assert_eq!(gateway.reached("connections"), 0);
    assert!(gateway.metric("iem_gateway_connections", &[]) <= f64::from(CONNECTIONS));
    drop(held);
}

#[test]
fn without_strangers_the_longest_idle_connections_make_room() {
    let gateway = Home::new().set("server.max_connections", 3).start();
    let publish = post(EVENTS, RECORD).cookie(&gateway.token("alice")).bytes();
    eventually(SOON, "no connection is open", || {
        gateway.metric("iem_gateway_connections", &[]) < 0.5
    });
    let known = || {
        let mut connection = gateway.connect();
        connection.send(&publish).answer().expect(200);
        connection
    };
    let (mut first, mut second, mut third) = (known(), known(), known());
    first.send(&publish).answer().expect(200);
    let newcomer = known();
    assert!(second.ends(SOON), "it was idle for longest");
    let mut stranger = gateway.connect();
    assert!(stranger.is_usable());
    assert!(third.ends(SOON), "it was idle for longest");
    assert!(gateway.connect().is_usable());
    assert!(stranger.ends(SOON), "it has shown no credentials");
    assert!(first.is_quiet() && newcomer.is_quiet());
    gateway.await_reached("evicted", 3);
}

#[test]
fn a_body_without_credentials_that_does_not_end_makes_room() {
    let gateway = Home::new()
        .set("server.max_connections", 2)
        .set("server.body_timeout", "1m")
        .set("server.body_rate", "0 B")
        .start();
    let request = post(REFRESH, r#"{"refresh_token":"x"}"#).bytes();
    for _ in 0..3 {
        let mut held = [gateway.connect(), gateway.connect()];
        for connection in &mut held {
            let _ = connection.try_send(&request[..request.len() - 1]);
        }
        assert!(gateway.connect().is_usable());
    }
    eventually(SOON, "no connection is open", || {
        gateway.metric("iem_gateway_connections", &[]) < 0.5
    });
    let mut stream = Frames::open(gateway.address, &[]);
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", REFRESH),
        (":authority", "gateway"),
    ];
    for frame in [
        Frame::headers(1, &head, false),
        Frame::new(PING, 0, 0, [0; 8]),
    ] {
        stream.send(&frame).expect("it is read");
    }
    // The gateway waits for the body by then.
    stream.find(PING);
    let _other = gateway.connect();
    assert!(gateway.connect().is_usable());
    stream.end();
    assert_eq!(gateway.reached("connections"), 0);
}

#[test]
fn half_a_handshake_makes_room() {
    let authority = Authority::new("authority");
    let home = Home::new()
        .with_tls(&authority.gateway())
        .set("server.max_connections", 2);
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let hello = client_hello(&authority);
    for _ in 0..3 {
        let mut held = [gateway.connect(), gateway.connect()];
        let _ = held[0].try_send(&hello[..hello.len() / 2]);
        let url = format!("https://{}{HEALTHCHECK}", gateway.address);
        Curl::new(&home, "ca.pem").arg(url).answer().expect(200);
    }
    assert!(gateway.reached("evicted") >= 3);
    assert_eq!(gateway.reached("connections"), 0);
}

#[test]
fn a_connection_without_its_proxy_header_makes_room() {
    let gateway = Home::new()
        .set("server.max_connections", 2)
        .set("server.proxies", vec!["127.0.0.2"])
        .set("server.proxy_protocol", true)
        .start();
    let silent = || Connection::from_peer(gateway.address, IpAddr::from([127, 0, 0, 2]));
    let mut held = [silent(), silent()];
    let mut announced = silent();
    announced.send(proxy_header("198.51.100.7:1"));
    assert!(announced.is_usable());
    gateway.await_reached("evicted", 1);
    let ended = |connection: &mut Connection| connection.ends(Duration::from_millis(100));
    assert_eq!(held.iter_mut().map(ended).filter(|ended| *ended).count(), 1);
    assert_eq!(gateway.reached("proxy_header"), 0);
}

#[test]
fn an_idle_connection_over_http2_is_told_to_go() {
    let gateway = Home::new().set("server.max_connections", 1).start();
    let mut idle = Frames::open(gateway.address, &[]);
    idle.find(SETTINGS);
    assert!(gateway.connect().is_usable());
    assert_eq!(idle.find(GOAWAY).error_code(), 0);
    idle.end();
    gateway.await_reached("evicted", 1);
}

/// Opens a connection over HTTP/2 with these settings, and sends the head of a request.
fn request(gateway: &Gateway, settings: &[(u16, u32)], method: &str, ends: bool) -> Frames {
    let mut frames = Frames::open(gateway.address, settings);
    let path = if ends { HEALTHCHECK } else { EVENTS };
    let head = [(":method", method), (":scheme", "http"), (":path", path)];
    frames
        .send(&Frame::headers(1, &head, ends))
        .expect("the gateway reads");
    frames.find(HEADERS);
    frames
}

#[test]
fn an_answer_that_is_not_taken_over_http2_keeps_nobody_out() {
    let gateway = Home::new().set("server.max_connections", 1).start();
    for _ in 0..3 {
        // Without a window no body of an answer is sent.
        let _stalled = request(&gateway, &[(INITIAL_WINDOW_SIZE, 0)], "GET", true);
        assert!(gateway.connect().is_usable());
    }
    assert!(gateway.reached("evicted") >= 3);
}

#[test]
fn a_refused_body_that_is_slow_to_come_over_http2_keeps_nobody_out() {
    let gateway = Home::new().set("server.max_connections", 1).start();
    for _ in 0..3 {
        let _slow = request(&gateway, &[], "POST", false);
        assert!(gateway.connect().is_usable());
    }
    assert!(gateway.reached("evicted") >= 3);
}

#[test]
fn a_client_that_is_told_its_last_answer_and_stays_makes_room() {
    let gateway = Home::new().set("server.max_connections", 1).start();
    let last = get(HEALTHCHECK).header("Connection", "close").bytes();
    let mut lingering = gateway.connect();
    lingering.send(last).answer().expect(200);
    eventually(SOON, "room for another", || gateway.connect().is_usable());
    assert_eq!(gateway.reached("connections"), 0);
}
