//! The configuration file that `config init` writes: every key with its description and default.

use super::reference::{Key, Section, sections};

/// The keys that each gateway decides for itself. In the defaults their paths are relative to the
/// working directory, in a file to the file's folder.
const DECIDED: [&str; 6] = [
    "directory.path",
    "directory.snapshot",
    "tokens.key_file",
    "sink.type",
    "sink.file.path",
    "journal.path",
];

const HEAD: &str = "\
# The configuration of iem-gateway. A key with `#` before it stands on its default: take the `#` away
# to set it.
#
# Durations and sizes carry units: \"500ms\", \"10s\", \"1h 30m\"; \"64 KiB\", \"8 MiB\". A relative path
# is relative to this file's folder. Secrets are better kept out of this file: the variable
# IEM_GATEWAY_FILE__SINK__KAFKA__PROPERTIES__SASL_PASSWORD names a file with the value of
# `\"sasl.password\"`, and so on. After a change, `iem-gateway --config FILE check` says whether it
# holds.
#
# For completion and checks in an editor: iem-gateway schema > iem-gateway.schema.json
# and as the first line of this file:
#
# #:schema ./iem-gateway.schema.json
";

/// Returns the text of a file in which what a gateway must decide is set, and all else stands on its
/// default.
pub fn template() -> String {
    let (decided, others): (Vec<_>, Vec<_>) = sections()
        .into_iter()
        .partition(|section| section.keys.iter().any(|key| is_decided(section, key)));
    let mut text = HEAD.to_owned();
    heading(&mut text, "What to decide");
    for section in decided {
        write_section(&mut text, &section);
    }
    heading(&mut text, "All else");
    for section in others {
        write_section(&mut text, &section);
    }
    text
}

fn is_decided(section: &Section, key: &Key) -> bool {
    DECIDED
        .iter()
        .any(|path| path.rsplit_once('.') == Some((section.name, key.name)))
}

fn heading(text: &mut String, words: &str) {
    text.push_str("\n# ── ");
    text.push_str(words);
    text.push_str(" ──\n");
}

fn write_section(text: &mut String, section: &Section) {
    text.push('\n');
    comment(text, &section.comment);
    text.push('[');
    text.push_str(section.name);
    text.push_str("]\n");
    let (decided, others): (Vec<_>, Vec<_>) = section
        .keys
        .iter()
        .partition(|key| is_decided(section, key));
    for key in decided.into_iter().chain(others) {
        comment(text, &key.comment);
        let mark = if is_decided(section, key) { "" } else { "#" };
        for part in [mark, key.name, " = ", key.value, "\n"] {
            text.push_str(part);
        }
    }
}

fn comment(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str("# ");
        text.push_str(line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_with;
    use crate::config::{Origin, load};

    /// Returns the text with each key set to what it says.
    fn all_set(text: &str) -> String {
        let is_key = |line: &str| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(key) if is_key(line) => key,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn only_what_to_decide_is_set() {
        let settings = load_with(&template(), &[]).expect("holds").settings;
        let stated = settings
            .iter()
            .filter(|setting| setting.origin != Origin::Default)
            .map(|setting| &*setting.key)
            .filter(|key| key.rsplit('.').next() != Some("sink"));
        let mut decided = DECIDED;
        decided.sort_unstable();
        assert_eq!(stated.collect::<Vec<_>>(), decided);
    }

    #[test]
    fn every_key_stands_in_it_with_its_default() {
        let text = all_set(&template());
        let settings = load_with(&text, &[]).expect("holds").settings;
        let defaults = load(None, []).expect("the defaults hold").settings;
        assert_eq!(settings.len(), defaults.len());
        for (setting, default) in settings.iter().zip(&defaults) {
            assert!(matches!(setting.origin, Origin::File { .. }), "{setting:?}");
            let is_path = DECIDED.contains(&&*setting.key);
            // Without a value: one thread a core.
            if !is_path && setting.key != "server.threads" {
                assert_eq!(setting.value, default.value, "{}", setting.key);
            }
        }
    }
}
