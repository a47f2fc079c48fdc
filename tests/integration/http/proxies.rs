//! Clients behind proxies: what a configured proxy says of them holds, what anybody else says of
//! himself does not. Whose request the gateway takes one for shows in who has to wait after failed
//! logins.

use std::net::IpAddr;
use std::time::Duration;

use iem_test_support::{
    Authority, Connection, Curl, Gateway, Home, Request, eventually, get, post, proxy_header,
    proxy_header_local, start_proxy,
};

const PROXY: [u8; 4] = [127, 0, 0, 2];
const OTHER_PROXY: [u8; 4] = [127, 0, 0, 3];
const CLIENT: &str = "198.51.100.7:1234";
const OTHER_CLIENT: &str = "[2001:db8::7]:1234";
const HEALTHCHECK: &str = "/publish/healthcheck/";
const SOON: Duration = Duration::from_secs(20);

/// One failed login is one too many.
fn home() -> Home {
    Home::new()
        .set(
            "server.proxies",
            vec!["127.0.0.2", "127.0.0.3/32", "2001:db8:ffff::/48"],
        )
        .set("login.failures_per_user", 1)
}

fn announcing() -> Home {
    home().set("server.proxy_protocol", true)
}

fn wrong_login() -> Request {
    post("/api/v1/user/token", "").basic("alice@acme.example", "wrong")
}

fn from(gateway: &Gateway, peer: [u8; 4]) -> Connection {
    Connection::from_peer(gateway.address, IpAddr::from(peer))
}

/// A connection of the proxy that begins so.
fn announced(gateway: &Gateway, header: &[u8]) -> Connection {
    let mut connection = from(gateway, PROXY);
    connection.send(header);
    connection
}

/// Logs in wrongly with this header, from this peer: 401, or 429 if the gateway has met the client
/// before.
fn forwarded(gateway: &Gateway, peer: [u8; 4], header: &str) -> u16 {
    gateway
        .send_from(peer, &wrong_login().header("X-Forwarded-For", header))
        .status
}

#[test]
fn a_forwarded_client_is_the_one_that_the_last_proxy_names() {
    let gateway = home().start();
    for (peer, header, status) in [
        (PROXY, "198.51.100.7", 401),
        (PROXY, "198.51.100.7", 429),
        (PROXY, "198.51.100.8, 198.51.100.7", 429),
        (PROXY, "198.51.100.7:5678, 127.0.0.3", 429),
        (
            OTHER_PROXY,
            "198.51.100.7, 2001:db8:ffff::1, [127.0.0.2], 127.0.0.2",
            401,
        ),
        (OTHER_PROXY, "198.51.100.7", 429),
        (PROXY, "198.51.100.9", 401),
        (PROXY, "[2001:db8::1]:443", 401),
        // IPv6 counts by /64.
        (PROXY, "2001:db8::2", 429),
    ] {
        assert_eq!(
            forwarded(&gateway, peer, header),
            status,
            "{peer:?} {header}"
        );
    }
    // Of several lines the last one counts.
    let lines = wrong_login()
        .header("X-Forwarded-For", "198.51.100.10")
        .header("x-forwarded-for", "198.51.100.7");
    gateway.send_from(PROXY, &lines).expect(429);
}

#[test]
fn without_a_usable_header_the_client_is_the_proxy() {
    let gateway = home().start();
    gateway.send_from(PROXY, &wrong_login()).expect(401);
    for header in [
        "unknown",
        "",
        "198.51.100.7, unknown",
        "198.51.100.7, ",
        "198.51.100.7, 127.0.0.1.1",
    ] {
        assert_eq!(forwarded(&gateway, PROXY, header), 429, "{header:?}");
    }
    assert_eq!(
        forwarded(&gateway, OTHER_PROXY, "198.51.100.7, unknown, 127.0.0.2"),
        429
    );
}

#[test]
fn headers_of_clients_that_are_no_proxy_are_ignored() {
    let gateway = home().start();
    assert_eq!(forwarded(&gateway, [127, 0, 0, 9], "198.51.100.7"), 401);
    assert_eq!(forwarded(&gateway, [127, 0, 0, 9], "198.51.100.8"), 429);
    assert_eq!(forwarded(&gateway, [127, 0, 0, 9], "127.0.0.2"), 429);
    assert_eq!(forwarded(&gateway, PROXY, "198.51.100.7"), 401);
    // Nor where no proxy is configured at all.
    let gateway = Home::new().set("login.failures_per_user", 1).start();
    assert_eq!(forwarded(&gateway, PROXY, "198.51.100.7"), 401);
    assert_eq!(forwarded(&gateway, PROXY, "198.51.100.8"), 429);
}

#[test]
fn each_request_of_a_connection_has_a_client_of_its_own_over_both_versions() {
    let gateway = home().set("server.proxies", vec!["127.0.0.1"]).start();
    let (mut connection, http2) = (gateway.connect(), gateway.http2());
    for (client, status) in [
        ("198.51.100.7", 401),
        ("198.51.100.8", 401),
        ("198.51.100.7", 429),
    ] {
        let request = wrong_login().header("X-Forwarded-For", client);
        connection.send(request.bytes()).answer().expect(status);
        http2.send(request.bytes()).expect(429);
    }
    let request = wrong_login().header("X-Forwarded-For", "198.51.100.9");
    http2.send(request.bytes()).expect(401);
}

#[test]
fn the_client_is_the_one_that_a_proxy_announces() {
    let gateway = announcing().start();
    for (client, status) in [
        (CLIENT, 401),
        (CLIENT, 429),
        (OTHER_CLIENT, 401),
        ("198.51.100.8:1", 401),
    ] {
        let mut connection = announced(&gateway, &proxy_header(client));
        connection
            .send(wrong_login().bytes())
            .answer()
            .expect(status);
        // What the client itself sends of the kind is not read.
        let spoofed = wrong_login().header("X-Forwarded-For", "198.51.100.77");
        connection.send(spoofed.bytes()).answer().expect(429);
    }
    // A direct connection has no such header, and is its own peer.
    let mut direct = from(&gateway, [127, 0, 0, 9]);
    direct.send(wrong_login().bytes()).answer().expect(401);
    assert_eq!(gateway.reached("proxy_header"), 0);
}

#[test]
fn an_announced_client_forwards_for_nobody_even_with_a_proxys_address() {
    let gateway = announcing().start();
    let mut connection = announced(&gateway, &proxy_header("127.0.0.3:1"));
    for (client, status) in [("198.51.100.7", 401), ("198.51.100.8", 429)] {
        let request = wrong_login().header("X-Forwarded-For", client);
        connection.send(request.bytes()).answer().expect(status);
    }
    // The proxy's own connection, for its health checks.
    let mut own = announced(&gateway, &proxy_header_local());
    assert!(own.is_usable());
    for (client, status) in [("198.51.100.7", 401), ("198.51.100.7", 429)] {
        let request = wrong_login().header("X-Forwarded-For", client);
        own.send(request.bytes()).answer().expect(status);
    }
}

#[test]
fn a_proxy_that_announces_nobody_is_closed_and_counted() {
    let gateway = announcing().set("server.header_timeout", "1s").start();
    let v1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 1234 443\r\n";
    let mut cut = proxy_header(CLIENT);
    cut.truncate(20);
    let bare = get(HEALTHCHECK).bytes();
    let cases = [&[][..], b"\r\n\r\n", &bare, &[v1, &*bare].concat(), &cut];
    for (number, bytes) in (1..).zip(cases) {
        let mut connection = announced(&gateway, bytes);
        assert!(!matches!(connection.try_answer(), Ok(Some(_))), "{bytes:?}");
        gateway.await_reached("proxy_header", number);
    }
    eventually(SOON, "none is left", || {
        gateway.metric("iem_gateway_connections", &[]) < 0.5
    });
    assert!(announced(&gateway, &proxy_header(CLIENT)).is_usable());
}

#[test]
fn a_proxy_header_from_a_client_is_no_http() {
    for gateway in [announcing().start(), home().start()] {
        let mut connection = from(&gateway, [127, 0, 0, 9]);
        connection.send([proxy_header(CLIENT), get(HEALTHCHECK).bytes()].concat());
        if let Ok(Some(answer)) = connection.try_answer() {
            answer.expect(400);
        }
        assert_eq!(gateway.reached("proxy_header"), 0);
    }
    // Nor from a proxy, where it is not asked for.
    let gateway = home().start();
    let mut connection = announced(
        &gateway,
        &[proxy_header(CLIENT), get(HEALTHCHECK).bytes()].concat(),
    );
    assert!(!matches!(connection.try_answer(), Ok(Some(answer)) if answer.status < 400));
}

#[test]
fn connections_are_counted_by_the_announced_client() {
    let gateway = announcing()
        .set("server.max_connections_per_peer", 1)
        .start();
    let mut first = announced(&gateway, &proxy_header(CLIENT));
    assert!(first.is_usable());
    announced(&gateway, &proxy_header(CLIENT))
        .answer()
        .expect(503)
        .says_when_to_retry();
    gateway.await_reached("connections_per_peer", 1);
    assert!(announced(&gateway, &proxy_header(OTHER_CLIENT)).is_usable());
    let own = [(); 3].map(|()| announced(&gateway, &proxy_header_local()));
    assert!(
        own.into_iter().all(|mut connection| connection.is_usable()),
        "a proxy's own are not counted"
    );
    drop(first);
    eventually(SOON, "room for another", || {
        announced(&gateway, &proxy_header(CLIENT)).is_usable()
    });
}

#[test]
fn ipv6_connections_are_counted_by_64_56_and_48_bits() {
    let gateway = announcing()
        .set("server.max_connections_per_peer", 1)
        .start();
    let mut held = Vec::new();
    for (network, has_room) in [
        ("2001:db8:1:1", true),
        ("2001:db8:1:1", false),
        ("2001:db8:1:2", true),
        // Two of one /56.
        ("2001:db8:1:3", false),
        ("2001:db8:1:100", true),
        // Three of one /48.
        ("2001:db8:1:200", false),
        ("2001:db8:2:1", true),
    ] {
        let mut connection = announced(&gateway, &proxy_header(&format!("[{network}::7]:1")));
        if has_room {
            assert!(connection.is_usable(), "{network}");
            held.push(connection);
        } else {
            connection.answer().expect(503).says_when_to_retry();
        }
    }
    gateway.await_reached("connections_per_peer", 3);
}

#[test]
fn an_announced_proxys_address_is_counted_like_any_other() {
    let gateway = announcing()
        .set("server.max_connections_per_peer", 1)
        .start();
    let mut first = announced(&gateway, &proxy_header("127.0.0.3:1"));
    assert!(first.is_usable());
    announced(&gateway, &proxy_header("127.0.0.3:2"))
        .answer()
        .expect(503);
}

#[test]
fn connections_of_a_proxy_that_announces_nobody_are_not_counted() {
    let gateway = home().set("server.max_connections_per_peer", 1).start();
    let held = [(); 4].map(|()| from(&gateway, PROXY));
    assert!(
        held.into_iter()
            .all(|mut connection| connection.is_usable())
    );
    assert_eq!(gateway.reached("connections_per_peer"), 0);
}

#[test]
fn the_header_stands_before_tls() {
    let authority = Authority::new("authority");
    let home = announcing().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let proxy = start_proxy(gateway.address, IpAddr::from(PROXY), proxy_header(CLIENT));
    let log_in = |version: &str| {
        let url = format!("https://{proxy}/api/v1/user/token");
        let curl = Curl::new(&home, "ca.pem").args(&[
            version,
            "-X",
            "POST",
            "-u",
            "alice@acme.example:wrong",
        ]);
        curl.arg(url).answer().status
    };
    assert_eq!(log_in("--http2"), 401);
    assert_eq!(log_in("--http1.1"), 429);
    let mut direct = Connection::from_peer(gateway.address, IpAddr::from(PROXY));
    direct.send(get(HEALTHCHECK).bytes());
    assert!(!matches!(direct.try_answer(), Ok(Some(_))));
    gateway.await_reached("proxy_header", 1);
}

#[test]
fn the_log_names_the_client() {
    let gateway = home()
        .set("server.proxies", vec!["127.0.0.1"])
        .set("logging.level", "debug")
        .spawn();
    gateway
        .send(&get(HEALTHCHECK).header("X-Forwarded-For", "198.51.100.7"))
        .expect(200);
    eventually(SOON, "a line of the log", || {
        gateway.log().contains("peer=198.51.100.7")
    });
}
