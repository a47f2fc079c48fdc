//! Tests of the errors of a configuration that cannot be loaded.

use std::path::Path;

use super::{load_with, refused};
use crate::config::load;

/// Asserts that `toml` is refused for its unknown key.
#[track_caller]
fn unknown(toml: &str, line: usize, key: &str, nearest: &str) {
    let expected =
        format!("gateway.toml:{line}: {key}: unknown key; the nearest known one is `{nearest}`");
    refused(toml, &[], &expected);
}

/// Asserts that the only line, `toml`, is refused.
#[track_caller]
fn wrong(toml: &str, expected: &str) {
    refused(toml, &[], &format!("gateway.toml:1: {expected}"));
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    unknown("\n[servers]\nlisten = 1", 2, "servers", "server");
    unknown(
        "[server]\nname = 'a'\nlisen = '127.0.0.1:1'",
        3,
        "server.lisen",
        "listen",
    );
    unknown(
        "server.max-body = '1 MiB'",
        1,
        "server.max-body",
        "max_body",
    );
    unknown("server.tls.ca = 'x'", 1, "server.tls.ca", "client_ca");
    unknown("server.proxy = []", 1, "server.proxy", "proxies");
    unknown(
        "[server.http2]\nmax_stream = 1",
        2,
        "server.http2.max_stream",
        "max_streams",
    );
}

#[test]
fn unknown_keys_of_the_other_tables_name_the_nearest_known_one() {
    unknown("[admin]\nlistn = 1", 2, "admin.listn", "listen");
    unknown("[directory]\npaht = 1", 2, "directory.paht", "path");
    unknown("[tokens]\nkeyfile = 1", 2, "tokens.keyfile", "key_file");
    unknown(
        "[login]\nfailures_per_ip = 1",
        2,
        "login.failures_per_ip",
        "failures_per_peer",
    );
    unknown("[logging]\nlevels = 1", 2, "logging.levels", "level");
    unknown(
        "[metrics]\ncustomers = 1",
        2,
        "metrics.customers",
        "customer_series",
    );
    unknown("[sink]\ntpye = 'file'", 2, "sink.tpye", "type");
    unknown(
        "[sink.file]\nrotate = 1",
        2,
        "sink.file.rotate",
        "rotate_age",
    );
    unknown("[topics.event]\nname = 'e'", 1, "topics.event", "events");
    unknown(
        "[topics.events]\n\nworker = 1",
        3,
        "topics.events.worker",
        "workers",
    );
    unknown(
        "topics = { tickets = { nam = 'x' } }",
        1,
        "topics.tickets.nam",
        "name",
    );
    refused(
        "",
        &[("IEM_GATEWAY__SERVER__LISTEM", "x")],
        "IEM_GATEWAY__SERVER__LISTEM: server.listem: unknown key; \
         the nearest known one is `listen`",
    );
}

#[test]
fn wrong_types_are_named() {
    wrong(
        "server = 5",
        "server: invalid type: integer `5`, expected a table",
    );
    wrong(
        "server.threads = 'x'",
        "server.threads: invalid type: string \"x\", expected a whole number",
    );
    wrong(
        "server.threads = -1",
        "server.threads: invalid value: integer `-1`, expected a whole number",
    );
    wrong(
        "server.threads = 1.5",
        "server.threads: invalid type: floating point `1.5`, expected a whole number",
    );
    wrong(
        "sink.file.sync = 1",
        "sink.file.sync: invalid type: integer `1`, expected a boolean",
    );
}

#[test]
fn values_that_are_not_the_text_of_their_key_are_named() {
    let duration = "expected a duration with its unit, such as \"10s\"";
    wrong(
        "server.drain = 20",
        &format!("server.drain: invalid type: integer `20`, {duration}"),
    );
    wrong(
        "server.drain = '20'",
        &format!("server.drain: invalid value: string \"20\", {duration}"),
    );
    let size = "expected a size with its unit, such as \"8 MiB\"";
    wrong(
        "server.memory = 1",
        &format!("server.memory: invalid type: integer `1`, {size}"),
    );
    wrong(
        "server.memory = '512'",
        &format!("server.memory: invalid value: string \"512\", {size}"),
    );
    wrong(
        "server.memory = '-1 MiB'",
        &format!("server.memory: invalid value: string \"-1 MiB\", {size}"),
    );
    let address = "expected an IP address and port, such as \"127.0.0.1:8080\"";
    wrong(
        "server.listen = 'here:80'",
        &format!("server.listen: invalid value: string \"here:80\", {address}"),
    );
    let network = "expected an IP address or a network, such as \"10.0.0.0/8\"";
    for bad in ["10.0.0.0/33", "10.0.0", "proxy.example.com", "10.0.0.1:80"] {
        wrong(
            &format!("server.proxies = ['::1', '{bad}']"),
            &format!("server.proxies[1]: invalid value: string \"{bad}\", {network}"),
        );
    }
}

#[test]
fn unknown_names_and_wrong_lists_are_named() {
    let address = "expected an IP address and port, such as \"127.0.0.1:8080\"";
    wrong(
        "sink.type = 'redis'",
        "sink.type: `redis` is none of: file, kafka, pubsub",
    );
    wrong(
        "topics.events.sink = 'sqs'",
        "topics.events.sink: `sqs` is none of: file, kafka, pubsub",
    );
    wrong(
        "logging.format = 'xml'",
        "logging.format: `xml` is none of: text, json",
    );
    wrong(
        "topics.events.key = 'host'",
        "topics.events.key: invalid type: string \"host\", expected a sequence",
    );
    wrong(
        "topics.events.key = ['a', 1]",
        "topics.events.key[1]: invalid type: integer `1`, expected a string",
    );
    refused(
        "server.threads = 2",
        &[("IEM_GATEWAY__SERVER__THREADS", "two")],
        "IEM_GATEWAY__SERVER__THREADS: server.threads: invalid type: string \"two\", \
         expected a whole number",
    );
    refused(
        "",
        &[("IEM_GATEWAY__SERVER__LISTEN__PORT", "1")],
        &format!("IEM_GATEWAY__SERVER__LISTEN__PORT: server.listen: invalid type: map, {address}"),
    );
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let errors = load_with("[server]\nname = 'a'\ndrain = = 1", &[])
        .expect_err("no TOML")
        .to_string();
    assert!(errors.contains("gateway.toml:3: "), "{errors}");
    let errors = load_with("[server]\nname = 'a'\nname = 'b'", &[])
        .expect_err("twice")
        .to_string();
    assert!(
        errors.ends_with("gateway.toml:3: duplicate key"),
        "{errors}"
    );
    let errors = load(Some(Path::new("/nonexistent/gateway.toml")), [])
        .expect_err("no file")
        .to_string();
    assert!(
        errors.starts_with("/nonexistent/gateway.toml: cannot be read: "),
        "{errors}"
    );
}
