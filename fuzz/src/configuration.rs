//! Any text as a configuration file, with variables and a secret's file: parts between lines of
//! `%%`. Variables are lines, `SERVER__THREADS=2`, or `SERVER__THREADS@` for the secret's file.
//! Checked: nothing panics; an error names a place that is there, in one line, and shows no secret;
//! what is taken keeps the rules, has a ceiling on memory that is the sum of its items, and is
//! taken again as `check` shows it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use iem_gateway::config::{self, Config, Errors, Loaded, Origin, SinkKind};
use tempfile::TempDir;
use toml::Value;

use iem_test_support::find;

use crate::expansion::split;
use crate::folder;

/// A secret that stands nowhere else in an input must not be shown.
const SECRET: &str = "hunter2";
const PARTS: usize = 3;

static HOME: LazyLock<Home> = LazyLock::new(Home::new);

struct Home {
    _folder: TempDir,
    file: PathBuf,
    secret: PathBuf,
}

impl Home {
    fn new() -> Self {
        let folder = folder::create();
        let (file, secret) = (
            folder.path().join("gateway.toml"),
            folder.path().join("secret"),
        );
        Self {
            _folder: folder,
            file,
            secret,
        }
    }
}

type Variables = BTreeMap<String, OsString>;

/// Checks one input.
pub fn check(input: &[u8]) {
    let parts = split(input, PARTS);
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let (text, variables, secret) = (part(0), variables(part(1)), part(2));
    fs::write(&HOME.file, text).expect("a file in the home");
    fs::write(&HOME.secret, secret).expect("a file in the home");
    // An empty file is none.
    let file = (!text.is_empty()).then_some(&*HOME.file);
    let loaded = config::load(
        file,
        variables
            .clone()
            .into_iter()
            .map(|(name, value)| (name.into(), value)),
    );
    let hidden = find(secret, SECRET.as_bytes()).is_some()
        && [part(0), part(1)]
            .iter()
            .all(|part| find(part, SECRET.as_bytes()).is_none());
    match loaded {
        Ok(loaded) => {
            assert!(!hidden || !format!("{:?}", loaded.settings).contains(SECRET));
            check_loaded(&loaded, file.is_none());
        }
        Err(errors) => {
            assert!(
                !hidden || !format!("{errors}{errors:?}").contains(SECRET),
                "{errors}"
            );
            check_errors(&errors, text, &variables);
        }
    }
}

fn variables(text: &[u8]) -> Variables {
    text.split(|byte| *byte == b'\n')
        .filter_map(variable)
        .collect()
}

/// Reads a line as a variable: `NAME=value`, or `NAME@` for a file with a secret.
fn variable(line: &[u8]) -> Option<(String, OsString)> {
    let at = line.iter().position(|byte| b"=@".contains(byte))?;
    let name = str::from_utf8(&line[..at]).ok()?;
    Some(match line[at] {
        b'=' => (
            format!("IEM_GATEWAY__{name}"),
            OsString::from_vec(line[at + 1..].to_vec()),
        ),
        _ => (
            format!("IEM_GATEWAY_FILE__{name}"),
            HOME.secret.clone().into(),
        ),
    })
}

fn check_errors(errors: &Errors, text: &[u8], variables: &Variables) {
    assert!(!errors.0.is_empty());
    assert_eq!(
        errors.to_string().lines().count(),
        errors.0.len(),
        "one a line: {errors:?}"
    );
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    for error in &errors.0 {
        assert!(!error.message.is_empty());
        match &error.origin {
            Origin::File { path, line } => {
                assert_eq!(*path, HOME.file);
                assert!(
                    line.is_none_or(|line| (1..=lines).contains(&line)),
                    "{error}"
                );
                assert!(line.is_some() || error.key.is_some(), "{error}");
            }
            Origin::Variable(name) => assert!(variables.contains_key(name), "{error}"),
            Origin::SecretFile { variable, path } => {
                assert!(
                    variables.contains_key(variable) && *path == HOME.secret,
                    "{error}"
                );
            }
            Origin::Default => assert!(error.key.is_some(), "{error}"),
        }
    }
}

fn check_loaded(loaded: &Loaded, without_file: bool) {
    let config = &loaded.config;
    assert_eq!(config.without_file, without_file);
    let ceiling = config.memory_ceiling();
    assert_eq!(
        ceiling
            .items
            .iter()
            .map(|item| item.bytes as u128)
            .sum::<u128>(),
        ceiling.bytes as u128
    );
    assert!(!ceiling.size().is_empty() && ceiling.bytes > config.server.memory);
    keeps_rules(config);
    if config
        .sink
        .kafka
        .properties
        .0
        .values()
        .any(|value| value.contains(SECRET))
    {
        let names = config
            .sink
            .kafka
            .properties
            .0
            .keys()
            .any(|name| name.contains(SECRET));
        let brokers = config.sink.kafka.bootstrap_servers.contains(SECRET);
        assert!(names || brokers || !format!("{:?}", config.sink.kafka).contains(SECRET));
    }
    if let Some(variables) = as_variables(loaded) {
        let again =
            config::load(None, variables).unwrap_or_else(|errors| panic!("taken before: {errors}"));
        let again = Config {
            without_file,
            ..again.config
        };
        assert_eq!(format!("{config:?}"), format!("{again:?}"));
    }
}

/// Checks the rules that other code relies on, said again.
fn keeps_rules(config: &Config) {
    let server = &config.server;
    let queues: usize = config.topics.iter().map(|topic| topic.queue_bytes).sum();
    assert!(server.memory >= queues + server.max_body);
    assert!(server.idle_timeout > Duration::from_mins(5) && server.threads > 0);
    assert!(server.listen.ip().is_loopback() || server.plaintext || server.tls.is_on());
    assert!(config.admin.listen.ip().is_loopback() || config.admin.plaintext);
    for topic in &config.topics {
        assert!(topic.deadline < Duration::from_secs(14) && topic.linger < topic.deadline);
        assert!(server.request_timeout > server.body_timeout + topic.deadline);
        assert!(
            topic.batch_records <= topic.queue_records && topic.batch_bytes <= topic.queue_bytes
        );
        assert!(!topic.name.is_empty() && !topic.name.contains('/') && topic.workers > 0);
        let at_sink = topic.for_sink();
        assert!(at_sink.name == topic.name && at_sink.workers == topic.workers);
    }
    let kafka = config
        .topics
        .iter()
        .any(|topic| topic.sink == SinkKind::Kafka);
    assert!(!kafka || !config.sink.kafka.bootstrap_servers.is_empty());
}

/// The settings that are no defaults as variables; none where one is not shown or cannot be said
/// so.
fn as_variables(loaded: &Loaded) -> Option<Vec<(OsString, OsString)>> {
    let stated = loaded
        .settings
        .iter()
        .filter(|setting| setting.origin != Origin::Default);
    stated
        .map(|setting| {
            let value = setting.value.as_ref()?;
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            // Names of certificates hold what a variable's name cannot; a line break at a text's
            // end is left out.
            let sayable = !setting.key.starts_with("server.tls.users")
                && !text.ends_with(['\r', '\n'])
                && !matches!(value, Value::Table(_));
            let name = format!(
                "IEM_GATEWAY__{}",
                setting.key.to_uppercase().replace('.', "__")
            );
            sayable.then(|| (name.into(), text.into()))
        })
        .collect()
}
