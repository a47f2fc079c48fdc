//! Each limit, a step outside of it or just inside.

mod oidc;
mod topics;

use crate::config::tests::{load_with, refused};
use crate::record::Kind;

/// Asserts that each line of TOML breaks a rule, and only the one that says so.
#[track_caller]
fn broken(cases: &[(&str, &str)]) {
    for (toml, expected) in cases {
        refused(toml, &[], &format!("gateway.toml:1: {expected}"));
    }
}

#[track_caller]
fn hold(cases: &[&str]) {
    for toml in cases {
        assert_eq!(load_with(toml, &[]).err(), None, "{toml}");
    }
}

#[test]
fn broken_limits_are_listed_together() {
    refused(
        "[server]\nthreads = 0\n[topics.events]\ndeadline = '15s'",
        &[("IEM_GATEWAY__SERVER__MAX_HEADER", "1 KiB")],
        "gateway.toml:2: server.threads: must be 1 to 1024, is 0\n\
         IEM_GATEWAY__SERVER__MAX_HEADER: server.max_header: must be 8 KiB to 1 MiB, is 1 KiB\n\
         gateway.toml:4: topics.events.deadline: must be at least 10ms and less than 14s: \
         clients give up after 15s",
    );
}

#[test]
fn names_counts_and_sizes_of_the_server() {
    let name = "server.name: must be a URI reference (RFC 3986) of 1 to 255 characters";
    broken(&[
        ("server.name = ''", name),
        ("server.name = 'a b'", name),
        (
            "server.threads = 1025",
            "server.threads: must be 1 to 1024, is 1025",
        ),
        (
            "server.max_connections = 0",
            "server.max_connections: must be 1 to 1000000, is 0",
        ),
        (
            "server.max_connections_per_peer = 0",
            "server.max_connections_per_peer: must be 1 to 1000000, is 0",
        ),
        (
            "server.max_connection_age = '2d'",
            "server.max_connection_age: must be 1s to 1d, is 2d",
        ),
        (
            "server.proxy_protocol = true",
            "server.proxy_protocol: needs server.proxies: from others nothing of the kind is taken",
        ),
        (
            "server.max_headers = 9",
            "server.max_headers: must be 10 to 1000, is 9",
        ),
        (
            "server.max_headers = 1001",
            "server.max_headers: must be 10 to 1000, is 1001",
        ),
        (
            "server.max_uri = '1023 B'",
            "server.max_uri: must be 1 KiB to 32 KiB, is 1023 B",
        ),
        (
            "server.max_uri = '33 KiB'",
            "server.max_uri: must be 1 KiB to 32 KiB, is 33 KiB",
        ),
        (
            "server = { max_header = '8 KiB', max_uri = '9 KiB' }",
            "server.max_uri: must be 1 KiB to 8 KiB, is 9 KiB",
        ),
        (
            "server.max_header = '8191 B'",
            "server.max_header: must be 8 KiB to 1 MiB, is 8191 B",
        ),
        (
            "server.max_body = '0 B'",
            "server.max_body: must be 1 KiB to 1 GiB, is 0 B",
        ),
    ]);
    hold(&[
        "server.max_header = '8 KiB'",
        "server = { proxies = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1', '::1'], \
         proxy_protocol = true }",
    ]);
}

#[test]
fn times_of_the_server() {
    let idle = "server.idle_timeout: must be more than 5m, \
                for which clients keep idle connections, and at most 24h";
    let request = "server.request_timeout: must be more than 34s, header_timeout, \
                   body_timeout, the longest deadline of a topic and 4s, and at most 10m";
    broken(&[
        (
            "server.header_timeout = '0s'",
            "server.header_timeout: must be 1s to 1m, is 0s",
        ),
        (
            "server.body_timeout = '2m'",
            "server.body_timeout: must be 1s to 1m, is 2m",
        ),
        (
            "server.body_rate = '2 GiB'",
            "server.body_rate: must be 0 B to 1 GiB, is 2 GiB",
        ),
        (
            "server.write_timeout = '0s'",
            "server.write_timeout: must be 1s to 10m, is 0s",
        ),
        ("server.request_timeout = '34s'", request),
        ("server.request_timeout = '11m'", request),
        ("server.idle_timeout = '5m'", idle),
        ("server.idle_timeout = '25h'", idle),
        (
            "server.drain_delay = '11m'",
            "server.drain_delay: must be 0s to 10m, is 11m",
        ),
        (
            "server.drain = '11m'",
            "server.drain: must be 3s to 10m, is 11m",
        ),
    ]);
    hold(&[
        "server.idle_timeout = '5m 1ms'",
        "server.drain = '3s'",
        "server.request_timeout = '35s'",
        "server.body_rate = '0 B'",
    ]);
}

#[test]
fn traces() {
    broken(&[
        (
            "traces.endpoint = 'http://10.0.0.1:4317'",
            "traces.endpoint: http://10.0.0.1:4317 is not on loopback: use https, or set \
             traces.plaintext = true if spans and traces.authorization may go there without TLS",
        ),
        (
            "traces.authorization = \"a\\nb\"",
            "traces.authorization: must be printable ASCII, without spaces around it",
        ),
        (
            "traces.authorization = 'Bearer '",
            "traces.authorization: must be printable ASCII, without spaces around it",
        ),
        (
            "traces = { endpoint = 'http://127.0.0.1:4317', ca_file = 'ca.pem' }",
            "traces.ca_file: needs a traces.endpoint with https",
        ),
        (
            "traces.max_per_second = 0",
            "traces.max_per_second: must be 1 to 10000, is 0",
        ),
    ]);
    hold(&[
        "traces = { endpoint = 'http://10.0.0.1:4317', plaintext = true }",
        "traces.endpoint = 'https://collector.example:4317'",
        "traces.endpoint = 'http://localhost:4317'",
        "traces = { max_per_second = 10000, authorization = 'Bearer ~' }",
    ]);
}

#[test]
fn listeners() {
    broken(&[
        (
            "server.listen = '0.0.0.0:81'",
            "server.listen: 0.0.0.0:81 is not a loopback address: name a certificate and its key \
             in server.tls, or set server.plaintext = true if plain HTTP is wanted there",
        ),
        (
            "admin.listen = '0.0.0.0:81'",
            "admin.listen: 0.0.0.0:81 is not a loopback address: name a certificate and its key \
             in admin.tls, or set admin.plaintext = true if plain HTTP is wanted there",
        ),
        (
            "admin = { listen = '0.0.0.0:81', login = 'never' }",
            "admin.listen: 0.0.0.0:81 is not a loopback address: name a certificate and its key \
             in admin.tls, or set admin.plaintext = true if plain HTTP is wanted there",
        ),
        (
            "admin.tls.certificate = 'c'",
            "admin.tls.certificate: needs admin.tls.key",
        ),
        (
            "admin.tls.key = 'k'",
            "admin.tls.key: needs admin.tls.certificate",
        ),
        (
            "admin.listen = '127.0.0.1:8080'",
            "admin.listen: 127.0.0.1:8080 collides with server.listen, 127.0.0.1:8080",
        ),
        (
            "admin = { listen = '0.0.0.0:8080', plaintext = true }",
            "admin.listen: 0.0.0.0:8080 collides with server.listen, 127.0.0.1:8080",
        ),
    ]);
    hold(&[
        "server = { listen = '0.0.0.0:81', plaintext = true }",
        "server = { listen = '0.0.0.0:81', tls = { certificate = 'c', key = 'k' } }",
        "admin = { listen = '0.0.0.0:81', plaintext = true }",
        "admin = { listen = '0.0.0.0:81', tls = { certificate = 'c', key = 'k' } }",
        "admin = { login = 'always', tls = { certificate = 'c', key = 'k' } }",
        "server.listen = '[::1]:81'",
        "server.listen = '127.0.0.1:0'\nadmin.listen = '127.0.0.1:0'",
        "server.listen = '127.0.0.1:81'\nadmin.listen = '127.0.0.2:81'",
    ]);
}

#[test]
fn tls() {
    let name = "server.tls.users.a: a client certificate is named by \
                \"sha256:<64 hexadecimal digits>\", \"uri:…\", \"email:…\", \"dns:…\" or \"cn:…\"";
    broken(&[
        (
            "server.tls.certificate = 'c'",
            "server.tls.certificate: needs server.tls.key",
        ),
        (
            "server.tls.key = 'k'",
            "server.tls.key: needs server.tls.certificate",
        ),
        (
            "server.tls.client_ca = 'ca'",
            "server.tls.client_ca: needs server.tls.certificate",
        ),
        (
            "server.tls = { certificate = 'c', key = 'k', client_crl = 'crl' }",
            "server.tls.client_crl: needs server.tls.client_ca",
        ),
        (
            "server.tls = { certificate = 'c', key = 'k', client_certificates = 'required' }",
            "server.tls.client_certificates: needs server.tls.client_ca",
        ),
        (
            "server.tls.users = { 'cn:a' = 'a@b' }",
            "server.tls.users: needs server.tls.client_ca",
        ),
        ("server.tls.users = { 'a' = 'a@b' }", name),
        (
            "server.tls.client_certificates = 'maybe'",
            "server.tls.client_certificates: `maybe` is none of: optional, required",
        ),
    ]);
    hold(&[
        "server.tls = { certificate = 'c', key = 'k', client_ca = 'ca', \
         client_crl = 'crl', users = { 'cn:a' = 'a@b' } }",
    ]);
}

#[test]
fn http2() {
    broken(&[
        (
            "server.http2.max_streams = 0",
            "server.http2.max_streams: must be 1 to 1000, is 0",
        ),
        (
            "server.http2.max_requests = 99",
            "server.http2.max_requests: must be 100 to 1000000, is 99",
        ),
        (
            "server.http2.stream_window = '63 KiB'",
            "server.http2.stream_window: must be 64 KiB to 16 MiB, is 63 KiB",
        ),
        (
            "server.http2.connection_window = '64 KiB'",
            "server.http2.connection_window: must be 128 KiB to 64 MiB, is 64 KiB",
        ),
        (
            "server.http2.max_connections = 0",
            "server.http2.max_connections: must be 1 to 1000000, is 0",
        ),
        (
            "server.http2.max_pending_resets = 0",
            "server.http2.max_pending_resets: must be 1 to 1000, is 0",
        ),
        (
            "server.http2.max_error_resets = 10001",
            "server.http2.max_error_resets: must be 1 to 10000, is 10001",
        ),
    ]);
    hold(&["server.http2.enabled = false"]);
}

#[test]
fn tokens_logins_and_metrics() {
    broken(&[
        (
            "tokens.access_lifetime = '0s'",
            "tokens.access_lifetime: must be 1s to 1d, is 0s",
        ),
        (
            "tokens.refresh_lifetime = '1m'",
            "tokens.refresh_lifetime: must be 1h to 90d, is 1m",
        ),
        (
            "tokens.key_delay = '25h'",
            "tokens.key_delay: must be 0s to 1d, is 1day 1h",
        ),
        (
            "tokens.session_lifetime = '59m'",
            "tokens.session_lifetime: must be 1h to 365d, is 59m",
        ),
        (
            "tokens.cache_entries = 0",
            "tokens.cache_entries: must be 1 to 1000000, is 0",
        ),
        (
            "idempotency.window = '59s'",
            "idempotency.window: must be 1m to 1d, is 59s",
        ),
        (
            "idempotency.keys = 999",
            "idempotency.keys: must be 1000 to 100000000, is 999",
        ),
        ("tokens.key_file = ''", "tokens.key_file: must not be empty"),
        ("directory.path = ''", "directory.path: must not be empty"),
        (
            "login.failures_per_user = 0",
            "login.failures_per_user: must be 1 to 1000000, is 0",
        ),
        (
            "login.failures_per_peer = 9",
            "login.failures_per_peer: must be 10 to 1000000, is 9",
        ),
        (
            "metrics.customer_series = 100001",
            "metrics.customer_series: must be 0 to 100000, is 100001",
        ),
    ]);
}

#[test]
fn a_misspelt_level_is_no_module() {
    let level = "logging.level: must be off, error, warn, info, debug or trace, \
                 or several with modules: \"info,some::module=debug\"";
    for bad in ["", "inof", "info,", "info,hyper=loud", "info,hyper="] {
        broken(&[(&format!("logging.level = '{bad}'"), level)]);
    }
    hold(&["logging.level = 'off'", "logging.level = 'info,hyper=off'"]);
}

#[test]
fn file_sink() {
    broken(&[
        ("sink.file.path = ''", "sink.file.path: must not be empty"),
        (
            "sink.file.rotate_size = '1 B'",
            "sink.file.rotate_size: must be 4 KiB to 1 TiB, is 1 B",
        ),
        (
            "sink.file.rotate_age = '0s'",
            "sink.file.rotate_age: must be 1s to 30d, is 0s",
        ),
    ]);
}
