//! What is refused, in which words, and what holds.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::*;

const DEFAULTS: &str = include_str!("defaults.toml");

/// Loads `toml` from a file named `gateway.toml`, under `variables`.
pub(super) fn load_with(toml: &str, variables: &[(&str, &str)]) -> Result<Loaded, Errors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, toml).expect("write");
    load(Some(&file), environment(variables))
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Asserts that `toml` under `variables` is refused with the lines of `expected`, in which the file
/// is `gateway.toml`.
#[track_caller]
pub(super) fn refused(toml: &str, variables: &[(&str, &str)], expected: &str) {
    let errors = load_with(toml, variables)
        .expect_err("must be refused")
        .to_string();
    let shortened: Vec<_> = errors
        .lines()
        .map(|line| {
            line.find("gateway.toml:")
                .map_or(line, |start| &line[start..])
        })
        .collect();
    assert_eq!(shortened.join("\n"), expected);
}

#[test]
fn the_defaults_hold_by_themselves() {
    let Loaded { config, settings } = load(None, []).expect("defaults");
    assert!(config.without_file);
    assert!(
        settings
            .iter()
            .all(|setting| setting.origin == Origin::Default)
    );
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.server.max_body, 8 << 20);
    assert_eq!(config.server.idle_timeout, Duration::from_mins(10));
    assert!(config.server.threads >= 1);
    assert_eq!(config.directory.path, Path::new("iem-data/directory.toml"));
    assert_eq!(config.tokens.key_file, Path::new("iem-data/token.key"));
    assert_eq!(config.sink.file.path, Path::new("iem-data/data"));
    let names: Vec<_> = config.topics.iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, TOPICS);
    assert_eq!(config.topics[1].key, ["mappedentityid", "entity"]);
    assert!(
        config
            .topics
            .iter()
            .all(|topic| topic.sink == SinkKind::File)
    );
}

#[test]
fn the_example_holds() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/iem-gateway.example.toml");
    let config = load(Some(&example), []).expect("holds").config;
    assert_eq!(config.topics[0].name, "iem-events");
}

#[test]
fn a_file_goes_over_the_defaults_and_the_environment_over_both() {
    let toml = "[server]\ndrain = '5s'\nmax_body = '1 MiB'\n[topics.events]\nworkers = 2";
    let variables = [
        ("IEM_GATEWAY__SERVER__DRAIN", "7s"),
        ("IEM_GATEWAY_CONFIG", "not ours"),
        ("HOME", "/root"),
    ];
    let config = load_with(toml, &variables).expect("holds").config;
    assert!(!config.without_file);
    assert_eq!(config.server.drain, Duration::from_secs(7));
    assert_eq!(config.server.max_body, 1 << 20);
    assert_eq!(config.topics[0].workers, 2);
    assert_eq!(config.topics[0].batch_records, 4096);
}

#[test]
fn every_default_can_be_set_by_the_environment() {
    let mut keys = Vec::new();
    collect(&DEFAULTS.parse().expect("TOML"), "", &mut keys);
    keys.push(("server.threads".to_owned(), Value::Integer(1)));
    keys.push((
        "topics.events.sink".to_owned(),
        Value::String("file".to_owned()),
    ));
    assert!(keys.len() > 70, "{}", keys.len());
    for (key, default) in keys {
        let variable = format!("IEM_GATEWAY__{}", key.to_uppercase().replace('.', "__"));
        let value = another(&key, &default);
        // The files of TLS go together.
        let certificate = [
            ("IEM_GATEWAY__SERVER__TLS__CERTIFICATE", "c"),
            ("IEM_GATEWAY__SERVER__TLS__KEY", "k"),
        ];
        let others = certificate
            .into_iter()
            .filter(|(other, _)| key.starts_with("server.tls.") && *other != variable);
        let proxies = [("IEM_GATEWAY__SERVER__PROXIES", r#"["::1"]"#)];
        let proxies = proxies
            .into_iter()
            .filter(|_| key == "server.proxy_protocol");
        let variables: Vec<_> = others
            .chain(proxies)
            .chain([(&*variable, &*value)])
            .collect();
        let settings = load(None, environment(&variables))
            .unwrap_or_else(|error| panic!("{error}"))
            .settings;
        let setting = settings
            .iter()
            .find(|setting| setting.key == key)
            .expect("setting");
        assert_eq!(setting.origin, Origin::Variable(variable.clone()), "{key}");
        let holds = setting.value.as_ref().expect("value");
        assert_eq!(holds.type_str(), default.type_str(), "{key}");
        assert_eq!(
            holds
                .as_str()
                .map_or_else(|| holds.to_string(), str::to_owned),
            value,
            "{key}"
        );
    }
}

fn collect(table: &Table, prefix: &str, keys: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        match value {
            Value::Table(table) => collect(table, &format!("{prefix}{key}."), keys),
            value => keys.push((format!("{prefix}{key}"), value.clone())),
        }
    }
}

/// A value that `key` may have, and that is not its default where it may have more than one.
fn another(key: &str, default: &Value) -> String {
    match default {
        Value::Boolean(value) => (!value).to_string(),
        Value::Integer(value) => (value + 1).to_string(),
        Value::Array(_) if key == "server.proxies" => r#"["10.0.0.0/8", "::1"]"#.to_owned(),
        Value::Array(_) => r#"["one", "two"]"#.to_owned(),
        _ => match key.rsplit('.').next().expect("name") {
            "listen" => "127.0.0.1:7070",
            "format" => "json",
            "level" => "warn,iem_gateway=trace",
            "compress" => "zstd",
            "sink" | "type" => "file",
            "client_certificates" => "optional",
            "max_streams" => "90",
            "stream_window" => "256 KiB",
            "connection_window" => "512 KiB",
            "request_timeout" => "3m",
            "max_uri" => "4 KiB",
            "name" | "path" | "key_file" => "1234",
            "max_header" => "64 KiB",
            "memory" => "513 MiB",
            "queue_bytes" => "65 MiB",
            "linger" => "10ms",
            "header_timeout" | "body_timeout" | "write_timeout" | "deadline" | "drain" => "12s",
            "idle_timeout" | "access_lifetime" | "rotate_age" => "24h",
            "refresh_lifetime" => "48h",
            _ => "9 MiB",
        }
        .to_owned(),
    }
}

#[test]
fn a_value_from_the_environment_has_the_type_of_its_key() {
    let variables = [
        ("IEM_GATEWAY__SERVER__NAME", "true"),
        ("IEM_GATEWAY__TOPICS__TICKETS__NAME", "12"),
        ("IEM_GATEWAY__TOPICS__TICKETS__KEY", "[]"),
        ("IEM_GATEWAY__SINK__FILE__SYNC", "false"),
    ];
    let config = load(None, environment(&variables)).expect("holds").config;
    assert_eq!(config.server.name, "true");
    assert_eq!(config.topics[5].name, "12");
    assert!(config.topics[5].key.is_empty());
    assert!(!config.sink.file.sync);
}

#[test]
fn a_value_can_come_from_a_file_that_a_variable_names() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("name");
    std::fs::write(&file, "urn:gateway:7\n").expect("write");
    let path = file.to_str().expect("UTF-8");
    let config = load(
        None,
        environment(&[("IEM_GATEWAY_FILE__SERVER__NAME", path)]),
    )
    .expect("holds")
    .config;
    assert_eq!(config.server.name, "urn:gateway:7");

    // Neither a wrong type nor a broken limit shows the value.
    for (variable, key) in [
        ("SERVER__THREADS", "server.threads"),
        ("TOPICS__EVENTS__NAME", "topics.events.name"),
    ] {
        let variable = format!("IEM_GATEWAY_FILE__{variable}");
        let errors = load(None, environment(&[(&variable, path)])).expect_err("must be refused");
        let expected =
            format!("{variable}={path}: {key}: the file's content is not a value for this key");
        assert_eq!(errors.to_string(), expected);
    }
    let errors = load(
        None,
        environment(&[("IEM_GATEWAY_FILE__SERVER__NAM", path)]),
    )
    .expect_err("no key");
    assert!(
        errors
            .to_string()
            .ends_with("unknown key; the nearest known one is `name`"),
        "{errors}"
    );

    let missing = folder.path().join("missing");
    let path = missing.to_str().expect("UTF-8");
    let errors = load(
        None,
        environment(&[("IEM_GATEWAY_FILE__SERVER__NAME", path)]),
    )
    .expect_err("no file");
    assert!(
        errors.to_string().starts_with(&format!(
            "IEM_GATEWAY_FILE__SERVER__NAME={path}: server.name: cannot be read: "
        )),
        "{errors}"
    );
}

#[test]
fn a_path_in_a_file_is_relative_to_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("gateway.toml");
    std::fs::write(
        &file,
        "[directory]\npath = 'd.toml'\n[tokens]\nkey_file = '/etc/iem/key'",
    )
    .expect("write");
    let config = load(
        Some(&file),
        environment(&[("IEM_GATEWAY__SINK__FILE__PATH", "data")]),
    )
    .expect("holds")
    .config;
    assert_eq!(config.directory.path, folder.path().join("d.toml"));
    assert_eq!(config.tokens.key_file, Path::new("/etc/iem/key"));
    assert_eq!(config.sink.file.path, Path::new("data"));
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let unknown = |toml: &str, line: usize, key: &str, nearest: &str| {
        refused(
            toml,
            &[],
            &format!(
                "gateway.toml:{line}: {key}: unknown key; the nearest known one is `{nearest}`"
            ),
        );
    };
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
    unknown("[admin]\nlistn = 1", 2, "admin.listn", "listen");
    unknown("[directory]\nfile = 1", 2, "directory.file", "path");
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
        "IEM_GATEWAY__SERVER__LISTEM: server.listem: unknown key; the nearest known one is `listen`",
    );
}

#[test]
fn wrong_types_are_named() {
    let wrong =
        |toml: &str, expected: &str| refused(toml, &[], &format!("gateway.toml:1: {expected}"));
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
        "IEM_GATEWAY__SERVER__THREADS: server.threads: invalid type: string \"two\", expected a whole number",
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

#[test]
fn the_memory_ceiling_follows_the_configuration() {
    let ceiling = |toml: &str| load_with(toml, &[]).expect("holds").config.memory_ceiling();
    let base = ceiling("server.threads = 2");
    assert_eq!(
        base.bytes,
        base.items.iter().map(|item| item.bytes).sum::<usize>()
    );
    let named = |name: &str| {
        base.items
            .iter()
            .find(|item| item.name == name)
            .expect("item")
            .bytes
    };
    assert_eq!(named("connections"), 16384 * ((3 * 32 + 25 + 32) << 10));
    assert_eq!(
        named("more for connections over HTTP/2"),
        1024 * ((256 + 64 + 128 + 200 - 153) << 10)
    );
    assert_eq!(named("requests over HTTP/2"), 4096 * ((4 * 32 + 16) << 10));
    assert_eq!(named("bodies being read and records waiting"), 512 << 20);
    assert_eq!(named("password hashes"), 64 << 20);
    let http1 = ceiling("server = { threads = 2, http2.enabled = false }");
    let one_more =
        ceiling("server = { threads = 2, http2.enabled = false, max_connections = 16385 }");
    assert_eq!(one_more.bytes - http1.bytes, 153 << 10);
    let tls =
        "server = { threads = 2, http2.enabled = false, tls = { certificate = 'c', key = 'k' } }";
    assert_eq!(ceiling(tls).bytes - http1.bytes, 16384 * (64 << 10));
    assert_eq!(
        ceiling("server = { threads = 2, memory = '1 GiB' }").bytes - base.bytes,
        512 << 20
    );
}

#[test]
fn topics_and_their_default_keys_are_those_of_the_kinds() {
    let config = load_with("", &[]).expect("holds").config;
    for kind in crate::record::Kind::ALL {
        assert_eq!(TOPICS[kind as usize], kind.topic());
        assert_eq!(config.topics[kind as usize].key, kind.default_key());
    }
}
