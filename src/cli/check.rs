//! `check`: prints each value and its origin, the state of the files and backends that the
//! configuration names, and the memory ceiling.
//!
//! Changes nothing, and prints neither a secret nor the content of a file.

mod admin;
mod certificates;
mod journals;
mod oidc;
mod traces;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use iem_sink::{Finding, Level};
use ipnet::IpNet;
use serde_json::{Value, json};

use super::settings;
use crate::config::{
    Config, DirectoryKind, Errors, Loaded, MemoryCeiling, Setting, may_hold_password,
};
use crate::identity::directory::LiveDirectory;
use crate::identity::token::KeyFiles;
use crate::sinks;

/// The result of `check`.
pub(super) struct Report(Result<Holds, Errors>);

struct Holds {
    settings: Vec<Setting>,
    needs: Vec<Finding>,
    memory: MemoryCeiling,
}

impl Report {
    pub(super) fn new(loaded: Result<Loaded, Errors>) -> Self {
        Self(loaded.map(|Loaded { config, settings }| Holds {
            settings,
            needs: needs(&config),
            memory: config.memory_ceiling(),
        }))
    }

    /// Returns whether `serve` would start, as far as was checked.
    pub(super) fn is_good(&self) -> bool {
        self.0
            .as_ref()
            .is_ok_and(|holds| holds.needs.iter().all(|need| need.level != Level::Bad))
    }

    pub(super) fn write_text(&self, mut out: impl Write) -> io::Result<()> {
        let holds = match &self.0 {
            Ok(holds) => holds,
            Err(errors) => return writeln!(out, "{errors}"),
        };
        settings::write_text(&holds.settings, &mut out)?;
        writeln!(out, "\nWhat it names")?;
        for Finding { what, level, text } in &holds.needs {
            writeln!(out, "{:<6} {what}: {text}", state(*level))?;
        }
        writeln!(out, "\nMemory ceiling")?;
        for item in &holds.memory.items {
            writeln!(out, "{:>10} {}", item.size(), item.name)?;
        }
        writeln!(out, "{:>10} in all", holds.memory.size())
    }

    pub(super) fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(out, "{:#}", self.json())
    }

    fn json(&self) -> Value {
        match &self.0 {
            Ok(holds) => json!({
                "good": self.is_good(),
                "settings": settings::json(&holds.settings),
                "needs": holds.needs.iter().map(|Finding { what, level, text }| {
                    json!({ "what": what, "level": state(*level).to_lowercase(), "found": text })
                }).collect::<Vec<_>>(),
                "memory": holds.memory,
            }),
            Err(Errors(errors)) => json!({
                "good": false,
                "errors": errors.iter().map(|error| json!({
                    "origin": error.origin.to_string(),
                    "key": error.key,
                    "message": error.message,
                })).collect::<Vec<_>>(),
            }),
        }
    }
}

fn state(level: Level) -> &'static str {
    match level {
        Level::Good => "ok",
        Level::Weak => "weak",
        Level::Bad => "FAULT",
    }
}

fn needs(config: &Config) -> Vec<Finding> {
    let keys = KeyFiles::new(&config.tokens);
    let mut needs = vec![
        check_directory(config),
        Finding::new(
            keys.name(),
            check_token_keys(&keys, config.tokens.key_delay, SystemTime::now()),
        ),
    ];
    let tls = &config.server.tls;
    if tls.is_on() {
        let http2 = config.server.http2.enabled;
        needs.extend(certificates::check(tls, http2, SystemTime::now()));
    }
    let tls = &config.admin.tls;
    if tls.is_on() {
        needs.extend(certificates::check(
            &tls.settings(),
            false,
            SystemTime::now(),
        ));
    }
    needs.extend(oidc::check(config));
    needs.push(admin::check(&config.admin));
    needs.extend(config.server.proxies.iter().filter_map(check_proxies));
    needs.extend(journals::check(config));
    needs.extend(sinks::inspect(config));
    needs.extend(traces::check(&config.traces));
    needs
}

/// Checks that a network of proxies is not so wide that others are likely to be in it.
fn check_proxies(network: &IpNet) -> Option<Finding> {
    let narrowest = match network {
        IpNet::V4(_) => 24,
        IpNet::V6(_) => 64,
    };
    (network.prefix_len() < narrowest).then(|| Finding {
        what: format!("proxies {network}"),
        level: Level::Weak,
        text: format!(
            "wider than /{narrowest}: each host in it may claim any client's address; \
             name the proxies themselves"
        ),
    })
}

fn check_directory(config: &Config) -> Finding {
    let directory = &config.directory;
    let (what, path) = match directory.kind {
        DirectoryKind::File => (directory.path.display().to_string(), Some(&directory.path)),
        DirectoryKind::Postgres if may_hold_password(&directory.url) => {
            ("in a database".to_owned(), None)
        }
        DirectoryKind::Postgres => (directory.url.clone(), None),
    };
    let finding = |level, text: &str| Finding {
        what: format!("directory {what}"),
        level,
        text: text.to_owned(),
    };
    if path.is_some_and(|path| path.try_exists().is_ok_and(|exists| !exists)) {
        return if config.without_file {
            finding(Level::Good, "made on first start")
        } else {
            finding(
                Level::Bad,
                "there is none: `customer add` and `user add` make it",
            )
        };
    }
    let status = match LiveDirectory::of(config) {
        Ok(directory) => directory.status(),
        Err(error) => return finding(Level::Bad, &error.to_string()),
    };
    let size = format!("{} users, {} customers", status.users, status.customers);
    match status.error {
        None => finding(Level::Good, &size),
        Some(error) => finding(
            Level::Weak,
            &format!(
                "{size} in the copy, which is {} s old: {error}",
                status.stale_for.as_secs()
            ),
        ),
    }
}

/// Lists the keys by their ids.
fn check_token_keys(files: &KeyFiles, delay: Duration, now: SystemTime) -> Result<String, String> {
    if files.are_missing() {
        return Ok("made on first start".to_owned());
    }
    let ring = files.ring().map_err(|error| error.to_string())?;
    let signer = ring.signer(delay, now);
    let keys = ring.keys().map(|(id, created)| {
        if Some(id) == signer {
            format!("{id} signs")
        } else if created + delay > now {
            let signs = humantime::format_rfc3339_seconds(created + delay);
            format!("{id} signs from {signs} on")
        } else {
            format!("{id} verifies")
        }
    });
    Ok(keys.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::config;

    fn report(folder: &Path, toml: &str, variables: &[(&str, &str)]) -> Report {
        let file = folder.join("gateway.toml");
        fs::write(&file, toml).expect("write");
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Report::new(config::load(Some(&file), variables))
    }

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        report.write_text(&mut out).expect("write");
        String::from_utf8(out).expect("UTF-8")
    }

    fn write_with_mode(path: &Path, content: &str, mode: u32) {
        fs::write(path, content).expect("write");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    const FILES: &str = "directory.path = 'directory.toml'\ntokens.key_file = 'token.key'";

    #[test]
    fn each_value_is_printed_with_its_origin() {
        let folder = tempfile::tempdir().expect("folder");
        let report = report(
            folder.path(),
            "server.drain = '5s'",
            &[("IEM_GATEWAY__SINK__FILE__SYNC", "false")],
        );
        let text = text(&report);
        let line = |key: &str| {
            text.lines()
                .find(|line| line.starts_with(key))
                .expect("line")
                .to_owned()
        };
        assert!(line("server.drain").ends_with("gateway.toml:1"), "{text}");
        assert!(
            line("sink.file.sync")
                .ends_with("= false                        # IEM_GATEWAY__SINK__FILE__SYNC"),
            "{text}"
        );
        assert!(line("server.max_body").ends_with("# default"), "{text}");
        assert!(
            text.lines().last().expect("line").ends_with(" in all"),
            "{text}"
        );
    }

    #[test]
    fn a_value_from_a_secret_file_is_never_printed() {
        let folder = tempfile::tempdir().expect("folder");
        let secret = folder.path().join("secret");
        fs::write(&secret, "hunter2\n").expect("write");
        let variable = [(
            "IEM_GATEWAY_FILE__SERVER__NAME",
            secret.to_str().expect("UTF-8"),
        )];
        let report = report(folder.path(), FILES, &variable);
        assert!(text(&report).contains("(not shown)"));
        assert!(!text(&report).contains("hunter2"));
        assert!(!report.json().to_string().contains("hunter2"));
    }

    #[test]
    fn the_files_that_are_needed_are_checked() {
        let folder = tempfile::tempdir().expect("folder");
        let directory = folder.path().join("directory.toml");
        let key = folder.path().join("token.key");

        let missing = report(folder.path(), FILES, &[]);
        assert!(!missing.is_good());
        assert!(
            text(&missing).contains("directory.toml: there is none"),
            "{}",
            text(&missing)
        );

        fs::write(&directory, "").expect("write");
        assert!(report(folder.path(), FILES, &[]).is_good());

        write_with_mode(&key, "key", 0o644);
        let open = report(folder.path(), FILES, &[]);
        assert!(!open.is_good());
        assert!(text(&open).contains("644"), "{}", text(&open));

        write_with_mode(&key, &"ab".repeat(32), 0o600);
        assert!(report(folder.path(), FILES, &[]).is_good());

        fs::write(&directory, "broken = ").expect("write");
        assert!(!report(folder.path(), FILES, &[]).is_good());
    }

    #[test]
    fn wide_networks_of_proxies_are_weak() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("directory.toml"), "").expect("write");
        let networks = "'10.0.0.0/8', '192.0.2.0/23', '192.0.2.0/24', '192.0.2.1', \
                        '2001:db8::/63', '2001:db8::/64', '2001:db8::1'";
        let toml = format!("server.proxies = [{networks}]\n{FILES}");
        let text = text(&report(folder.path(), &toml, &[]));
        let weak: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("weak   proxies "))
            .filter_map(|line| line.split(": ").next())
            .collect();
        assert_eq!(weak, ["10.0.0.0/8", "192.0.2.0/23", "2001:db8::/63"]);
    }

    #[test]
    fn json_names_each_error() {
        let folder = tempfile::tempdir().expect("folder");
        let json = report(folder.path(), "[server]\nlisten = 5", &[]).json();
        assert_eq!(json["good"], false);
        assert_eq!(json["errors"][0]["key"], "server.listen");
        assert!(
            json["errors"][0]["origin"]
                .as_str()
                .expect("text")
                .ends_with("gateway.toml:2"),
            "{json}"
        );
    }
}
