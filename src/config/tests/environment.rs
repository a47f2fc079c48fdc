//! Tests of values from the environment.

use toml::{Table, Value};

use super::environment;
use crate::config::*;

const DEFAULTS: &str = include_str!("../defaults.toml");

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
        let admin = [
            ("IEM_GATEWAY__ADMIN__TLS__CERTIFICATE", "c"),
            ("IEM_GATEWAY__ADMIN__TLS__KEY", "k"),
        ];
        let admin = admin
            .into_iter()
            .filter(|(other, _)| key.starts_with("admin.tls.") && *other != variable);
        let proxies = [("IEM_GATEWAY__SERVER__PROXIES", r#"["::1"]"#)];
        let proxies = proxies
            .into_iter()
            .filter(|_| key == "server.proxy_protocol");
        let client_ca = [("IEM_GATEWAY__SERVER__TLS__CLIENT_CA", "ca")];
        let client_ca = client_ca
            .into_iter()
            .filter(|_| key == "server.tls.client_crl");
        let collector = [("IEM_GATEWAY__TRACES__ENDPOINT", "https://collector")];
        let collector = collector.into_iter().filter(|_| key == "traces.ca_file");
        let audience = [("IEM_GATEWAY__OIDC__AUDIENCE", "iem")];
        let audience = audience.into_iter().filter(|_| key == "oidc.issuer");
        let variables: Vec<_> = others
            .chain(collector)
            .chain(audience)
            .chain(admin)
            .chain(proxies)
            .chain(client_ca)
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
        if ["directory.password", "traces.authorization"].contains(&&*key) {
            assert_eq!(setting.value, None, "it is a secret");
            continue;
        }
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
            "login" => "always",
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
            "window" | "max_staleness" => "2h",
            "url" if key.starts_with("directory") => "postgres://iem@127.0.0.1/iem",
            "url" => "https://iem.example.com",
            "max_header" => "64 KiB",
            "memory" => "513 MiB",
            "queue_bytes" => "65 MiB",
            "linger" => "10ms",
            "header_timeout" | "body_timeout" | "write_timeout" | "deadline" | "drain"
            | "drain_delay" => "12s",
            "key_delay" => "5m",
            "idle_timeout" | "max_connection_age" | "access_lifetime" | "rotate_age" => "24h",
            "refresh_lifetime" | "session_lifetime" | "age" => "48h",
            "durability" => "journaled",
            "endpoint" if key.starts_with("traces") => "https://collector",
            "issuer" | "keys_url" => "https://idp.example/realms/iem",
            "refresh" => "1h",
            "on_damage" => "refuse",
            "bytes" => "1 GiB",
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
