//! The configuration as it holds, as HTML.

use super::figures::count;
use super::parts::{column, sheet};
use crate::admin::html::Html;

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingPart {
    /// Its key.
    pub key: String,
    /// The value as TOML; `None` if it may be a secret.
    pub value: Option<String>,
    /// The place where it was written.
    pub origin: String,
    /// Whether it is the default.
    pub is_default: bool,
}

/// Appends the configuration: what differs from the defaults, and all of it.
pub(super) fn settings(html: &mut Html, settings: &[SettingPart]) {
    sheet(html, "configuration", "Configuration");
    let changed: Vec<_> = settings.iter().filter(|it| !it.is_default).collect();
    let words = match changed.len() {
        0 => "Nothing differs from the defaults".to_owned(),
        1 => "1 value differs from the defaults".to_owned(),
        number => format!("{} values differ from the defaults", count(number as u64)),
    };
    if changed.is_empty() {
        html.markup("<p>");
        html.text(&words);
        html.markup(".</p>");
    } else {
        html.markup("<details><summary>");
        html.text(&words);
        html.markup("</summary>");
        table(html, changed);
        html.markup("</details>");
    }
    html.markup("<details><summary>All ");
    html.text(&count(settings.len() as u64));
    html.markup(" values</summary>");
    table(html, settings);
    html.markup("</details></section>\n");
}

fn table<'s>(html: &mut Html, settings: impl IntoIterator<Item = &'s SettingPart>) {
    html.markup("<table class=\"plain\"><thead><tr>");
    for name in ["Key", "Value", "From"] {
        column(html, name, false);
    }
    html.markup("</tr></thead><tbody>\n");
    for setting in settings {
        html.markup("<tr><th scope=\"row\"><code>");
        html.text(&setting.key);
        html.markup("</code></th><td>");
        match &setting.value {
            Some(value) => html.code(value),
            None => html.markup("<span class=\"none\">not shown</span>"),
        }
        html.markup("</td><td class=\"quiet\">");
        html.text(&setting.origin);
        html.markup("</td></tr>\n");
    }
    html.markup("</tbody></table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_and_text_is_escaped() {
        let setting = |key: &str, value: Option<&str>, is_default| SettingPart {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            origin: "a <file>".to_owned(),
            is_default,
        };
        let mut html = Html::default();
        let all = [
            setting("server.name", Some("\"<b>\""), true),
            setting("sink.kafka.properties.x", None, false),
        ];
        settings(&mut html, &all);
        let html = html.into_string();
        assert!(html.contains("1 value differs") && html.contains("All 2 values"));
        assert!(html.contains("not shown") && html.contains("a &lt;file&gt;"));
        assert!(!html.contains("<b>"));
    }
}
