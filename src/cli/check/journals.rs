//! The journals of topics, for `check`: their file system, its free space, and the journals that are
//! there.

use std::path::{Path, PathBuf};

use iem_journal::{FileSystem, Inspection, inspect};
use iem_sink::{Finding, Level};

use crate::config::{Config, Journal, OnDamage, Topic};
use crate::record::Kind;
use crate::size;

/// Inspects what the journaled topics need; changes nothing.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let journaled = || {
        let topics = Kind::ALL.into_iter().zip(&config.topics);
        topics.filter(|(_, topic)| Topic::is_journaled(topic))
    };
    if journaled().next().is_none() {
        return Vec::new();
    }
    let mut used = 0;
    let mut findings = Vec::new();
    for (kind, _) in journaled() {
        let (finding, bytes) = check_one(kind.topic(), &config.journal);
        findings.push(finding);
        used += bytes;
    }
    let most = journaled().count() as u64 * config.journal.bytes as u64;
    let path = &config.journal.path;
    findings.insert(0, check_place(path, most.saturating_sub(used)));
    findings
}

/// Checks the file system of the journals, which may take so many bytes more.
fn check_place(path: &Path, more: u64) -> Finding {
    let what = format!("journals {}", path.display());
    let FileSystem { unfit, free_bytes } = match FileSystem::of(path) {
        Ok(file_system) => file_system,
        Err(error) => return Finding::new(what, Err(error.to_string())),
    };
    let free = size::text(free_bytes);
    let scarce = (free_bytes < more).then(|| {
        let more = size::text(more);
        format!("{free} free, and the journals may take {more} more: 503 once the disk is full")
    });
    let faults: Vec<_> = unfit.map(str::to_owned).into_iter().chain(scarce).collect();
    if faults.is_empty() {
        return Finding::new(what, Ok(format!("{free} free")));
    }
    Finding {
        what,
        level: Level::Weak,
        text: faults.join("; "),
    }
}

/// Checks the journal of a topic. Returns the bytes of its files, too.
fn check_one(topic: &str, journal: &Journal) -> (Finding, u64) {
    let folder = journal.path.join(topic);
    let what = format!("journal {}", folder.display());
    if !folder.exists() {
        return (Finding::new(what, missing(journal, &folder)), 0);
    }
    match inspect(&folder) {
        Ok(inspection) => {
            let segments = inspection.segments.iter();
            let bytes = segments.map(|segment| segment.bytes).sum::<u64>();
            let finding = judge(what, &inspection, journal.on_damage);
            (finding, bytes + inspection.spare_bytes)
        }
        Err(error) => (Finding::new(what, Err(error.to_string())), 0),
    }
}

fn missing(journal: &Journal, folder: &Path) -> Result<String, String> {
    if journal.create {
        Ok("made on first start".to_owned())
    } else {
        Err(iem_journal::OpenError::Missing(PathBuf::from(folder)).to_string())
    }
}

fn judge(what: String, inspection: &Inspection, on_damage: OnDamage) -> Finding {
    if let Some(damage) = inspection.damages.first() {
        let level = match on_damage {
            OnDamage::Report => Level::Weak,
            OnDamage::Refuse => Level::Bad,
        };
        let text = format!("{damage}; `iem-gateway journal verify` says more");
        return Finding { what, level, text };
    }
    let records = inspection.counts.backlog();
    let text = match &inspection.holder {
        Some(holder) => format!("{records} records wait for the sink; open in {holder}"),
        None => format!("{records} records wait for the sink"),
    };
    let level = Level::Good;
    Finding { what, level, text }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config;

    fn load(folder: &Path, toml: &str) -> Config {
        let file = folder.join("gateway.toml");
        let path = folder.join("journal");
        let toml = format!(
            "topics.events.durability = 'journaled'\njournal.path = '{}'\n\
             directory.path = 'directory.toml'\ntokens.key_file = 'token.key'\n{toml}",
            path.display()
        );
        fs::write(&file, toml).expect("write");
        let loaded = config::load(Some(&file), []);
        loaded.expect("the configuration is valid").config
    }

    fn level(config: &Config, what: &str) -> (Level, String) {
        let findings = check(config);
        let found = findings
            .into_iter()
            .find(|found| found.what.ends_with(what));
        let found = found.expect("the finding");
        (found.level, found.text)
    }

    #[test]
    fn journals_are_checked_before_a_start() {
        let folder = tempfile::tempdir().expect("folder");
        let config = load(folder.path(), "");
        assert_eq!(level(&config, "events").1, "made on first start");
        let config = load(folder.path(), "journal.create = false");
        let (kind, text) = level(&config, "events");
        assert_eq!(kind, Level::Bad);
        assert!(text.contains("mount its volume"), "{text}");

        // More than any disk has.
        let config = load(folder.path(), "journal.bytes = '1 TiB'");
        let (kind, text) = level(&config, "journal");
        assert_eq!(kind, Level::Weak, "{text}");
        assert!(text.contains("may take 1.0 TiB more"), "{text}");

        let journal = folder.path().join("journal/events");
        fs::create_dir_all(&journal).expect("a folder");
        fs::write(journal.join("00000000000000000000.journal"), [7; 8192]).expect("a file");
        let (kind, text) = level(&load(folder.path(), ""), "events");
        assert_eq!(kind, Level::Weak, "{text}");
        let refuses = load(folder.path(), "journal.on_damage = 'refuse'");
        assert_eq!(level(&refuses, "events").0, Level::Bad);
    }

    #[test]
    fn no_topic_with_a_journal_needs_nothing() {
        assert!(check(&Config::default()).is_empty());
    }
}
