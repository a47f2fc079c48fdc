//! The values of the configuration and their origins, as `check` and `config show` print them. Never
//! a secret.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::config::Setting;

/// Writes one line for each value: `key = value # origin`.
pub(super) fn write_text(settings: &[Setting], out: &mut dyn Write) -> io::Result<()> {
    for setting in settings {
        let value = setting
            .value
            .as_ref()
            .map_or("(not shown)".to_owned(), ToString::to_string);
        writeln!(
            out,
            "{:<34} = {value:<28} # {}",
            setting.key, setting.origin
        )?;
    }
    Ok(())
}

/// Returns the values as JSON; a secret is null.
pub(super) fn json(settings: &[Setting]) -> Value {
    let objects = settings.iter().map(|setting| {
        json!({
            "key": setting.key,
            "value": setting.value,
            "origin": setting.origin.to_string(),
        })
    });
    objects.collect()
}
