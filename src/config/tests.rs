//! Tests of loading a configuration.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::*;

mod environment;
mod errors;
mod schema;

/// Loads `toml` from a file named `gateway.toml`, under `variables`. Alone, the file must agree with
/// the schema.
pub(super) fn load_with(toml: &str, variables: &[(&str, &str)]) -> Result<Loaded, Errors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, toml).expect("write");
    let loaded = load(Some(&file), environment(variables));
    if variables.is_empty() {
        schema::compare(toml, &loaded);
    }
    loaded
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
    assert_eq!(names, Kind::ALL.map(Kind::topic));
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
    assert_eq!(named("connections"), 16384 * ((4 * 32 + 25 + 32) << 10));
    assert_eq!(
        named("more for connections over HTTP/2"),
        (1024 + 256) * ((256 + 64 + 128 + 200 - 185) << 10)
    );
    assert_eq!(
        named("requests over HTTP/2"),
        (4096 + 1024) * ((4 * 32 + 16) << 10)
    );
    assert_eq!(named("bodies being read and records waiting"), 512 << 20);
    assert_eq!(named("password hashes"), 64 << 20);
    let http1 = ceiling("server = { threads = 2, http2.enabled = false }");
    let one_more =
        ceiling("server = { threads = 2, http2.enabled = false, max_connections = 16385 }");
    assert_eq!(one_more.bytes - http1.bytes, 185 << 10);
    let tls =
        "server = { threads = 2, http2.enabled = false, tls = { certificate = 'c', key = 'k' } }";
    assert_eq!(ceiling(tls).bytes - http1.bytes, 16384 * (64 << 10));
    assert_eq!(
        ceiling("server = { threads = 2, memory = '1 GiB' }").bytes - base.bytes,
        512 << 20
    );
}

#[test]
fn each_topic_has_the_name_and_the_default_key_of_its_kind() {
    let config = load_with("", &[]).expect("holds").config;
    for kind in Kind::ALL {
        assert_eq!(config.topics[kind as usize].name, kind.topic());
        assert_eq!(config.topics[kind as usize].key, kind.default_key());
    }
}
