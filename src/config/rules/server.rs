//! Rules for the listeners.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::bounds::{DAY, GIB, KIB, MIB, MINUTE, SECOND, TIB, duration};
use super::faults::Faults;
use super::topics::DEADLINE_END;
use crate::config::{AdminTls, ClientCertificates, Config, Http2, Server, Tls};

/// Far from the 65,534 bytes beyond which the HTTP library rejects by itself, with less detail.
const URI_MAX: usize = 32 * KIB;
/// Clients keep idle connections for 5 minutes, and lose a request on a connection that closes.
const CLIENT_IDLE: Duration = Duration::from_mins(5);

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let server = &config.server;
    connections(server, faults);
    sizes(server, faults);
    times(config, faults);
    tls(&server.tls, faults);
    let AdminTls { certificate, key } = &config.admin.tls;
    certificate_and_key("admin.tls", certificate, key, faults);
    http2(&server.http2, faults);
    listeners(config, faults);
}

fn connections(server: &Server, faults: &mut Faults) {
    let in_uri = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    faults.require(
        (1..=255).contains(&server.name.len()) && server.name.chars().all(in_uri),
        "server.name",
        "must be a URI reference (RFC 3986) of 1 to 255 characters",
    );
    faults.count("server.threads", server.threads, 1..=1024);
    faults.count(
        "server.max_connections",
        server.max_connections,
        1..=1_000_000,
    );
    faults.count(
        "server.max_connections_per_peer",
        server.max_connections_per_peer,
        1..=1_000_000,
    );
    faults.duration(
        "server.max_connection_age",
        server.max_connection_age,
        SECOND..=DAY,
    );
    faults.require(
        !server.proxy_protocol || !server.proxies.is_empty(),
        "server.proxy_protocol",
        "needs server.proxies: from others nothing of the kind is taken",
    );
}

fn sizes(server: &Server, faults: &mut Faults) {
    faults.size("server.max_header", server.max_header, 8 * KIB..=MIB);
    faults.count("server.max_headers", server.max_headers, 10..=1000);
    faults.size(
        "server.max_uri",
        server.max_uri,
        KIB..=server.max_header.clamp(8 * KIB, URI_MAX),
    );
    faults.size("server.max_body", server.max_body, KIB..=GIB);
    faults.size("server.memory", server.memory, MIB..=TIB);
}

fn times(config: &Config, faults: &mut Faults) {
    let server = &config.server;
    faults.duration(
        "server.header_timeout",
        server.header_timeout,
        SECOND..=MINUTE,
    );
    faults.duration("server.body_timeout", server.body_timeout, SECOND..=MINUTE);
    faults.size("server.body_rate", server.body_rate, 0..=GIB);
    request_timeout(config, faults);
    faults.duration(
        "server.write_timeout",
        server.write_timeout,
        SECOND..=10 * MINUTE,
    );
    faults.require(
        server.idle_timeout > CLIENT_IDLE && server.idle_timeout <= DAY,
        "server.idle_timeout",
        "must be more than 5m, for which clients keep idle connections, and at most 24h",
    );
    faults.duration(
        "server.drain_delay",
        server.drain_delay,
        Duration::ZERO..=10 * MINUTE,
    );
    faults.duration("server.drain", server.drain, 3 * SECOND..=10 * MINUTE);
}

/// The waits of a request must fit in its time together.
fn request_timeout(config: &Config, faults: &mut Faults) {
    let server = &config.server;
    let deadline = config
        .topics
        .iter()
        .map(|topic| topic.deadline)
        .max()
        .unwrap_or_default()
        .min(DEADLINE_END);
    let head_and_body = server.header_timeout.min(MINUTE) + server.body_timeout.min(MINUTE);
    let answered = head_and_body + server.parse_wait() + deadline;
    faults.require(
        server.request_timeout > answered && server.request_timeout <= 10 * MINUTE,
        "server.request_timeout",
        format!(
            "must be more than {}, header_timeout, body_timeout, \
             the longest deadline of a topic and {}, and at most 10m",
            duration(answered),
            duration(server.parse_wait()),
        ),
    );
}

/// A certificate and its key are named together.
fn certificate_and_key(table: &str, certificate: &Path, key: &Path, faults: &mut Faults) {
    let [certificate, key] = [certificate, key].map(|path| !path.as_os_str().is_empty());
    faults.require(
        key || !certificate,
        &format!("{table}.certificate"),
        format!("needs {table}.key"),
    );
    faults.require(
        certificate || !key,
        &format!("{table}.key"),
        format!("needs {table}.certificate"),
    );
}

fn tls(tls: &Tls, faults: &mut Faults) {
    certificate_and_key("server.tls", &tls.certificate, &tls.key, faults);
    let client_ca = tls.requests_certificates();
    faults.require(
        tls.is_on() || !client_ca,
        "server.tls.client_ca",
        "needs server.tls.certificate",
    );
    faults.require(
        client_ca || !tls.has_revocations(),
        "server.tls.client_crl",
        "needs server.tls.client_ca",
    );
    let required = tls.client_certificates == ClientCertificates::Required;
    faults.require(
        client_ca || !required,
        "server.tls.client_certificates",
        "needs server.tls.client_ca",
    );
    faults.require(
        client_ca || tls.users.is_empty(),
        "server.tls.users",
        "needs server.tls.client_ca",
    );
}

fn http2(http2: &Http2, faults: &mut Faults) {
    faults.count(
        "server.http2.max_connections",
        http2.max_connections,
        1..=1_000_000,
    );
    faults.count("server.http2.max_streams", http2.max_streams, 1..=1000);
    let streams = http2.max_streams.min(1000);
    faults.count(
        "server.http2.max_requests",
        http2.max_requests,
        streams..=1_000_000,
    );
    faults.size(
        "server.http2.stream_window",
        http2.stream_window,
        64 * KIB..=16 * MIB,
    );
    let window = http2.stream_window.clamp(64 * KIB, 16 * MIB);
    faults.size(
        "server.http2.connection_window",
        http2.connection_window,
        window..=64 * MIB,
    );
    faults.count(
        "server.http2.max_pending_resets",
        http2.max_pending_resets,
        1..=1000,
    );
    faults.count(
        "server.http2.max_error_resets",
        http2.max_error_resets,
        1..=10_000,
    );
}

pub(super) fn listeners(config: &Config, faults: &mut Faults) {
    let server = config.server.listen;
    let admin = config.admin.listen;
    faults.require(
        server.ip().is_loopback() || config.server.plaintext || config.server.tls.is_on(),
        "server.listen",
        format!(
            "{server} is not a loopback address: name a certificate and its key in server.tls, \
             or set server.plaintext = true if plain HTTP is wanted there"
        ),
    );
    faults.require(
        config.admin.is_on_loopback() || config.admin.plaintext || config.admin.tls.is_on(),
        "admin.listen",
        format!(
            "{admin} is not a loopback address: name a certificate and its key in admin.tls, \
             or set admin.plaintext = true if plain HTTP is wanted there"
        ),
    );
    faults.require(
        !collide(server, admin),
        "admin.listen",
        format!("{admin} collides with server.listen, {server}"),
    );
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}
