//! HTML that is being written. Text is escaped here and nowhere else; markup is what the code
//! itself holds.

use serde_json::Value;

/// HTML that is being written.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Appends markup as it is. A text of the document has not its lifetime.
    pub(super) fn markup(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Appends the begin of a page up to its body, with this title and with more for its head.
    pub(super) fn begin(&mut self, title: &str, more: &'static str) {
        self.markup(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"/console.css\">",
        );
        self.markup(more);
        self.markup("<title>");
        self.text(title);
        self.markup("</title></head>\n");
    }

    /// Appends HTML that was drawn apart.
    pub(super) fn drawn(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Appends a text, which means nothing in an element or in a quoted attribute.
    pub(super) fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
    }

    pub(super) fn code(&mut self, text: &str) {
        self.markup("<code>");
        self.text(text);
        self.markup("</code>");
    }

    /// Appends text with code between backticks.
    pub(super) fn prose(&mut self, prose: &str) {
        for (index, part) in prose.split('`').enumerate() {
            if index % 2 == 0 {
                self.text(part);
            } else {
                self.code(part);
            }
        }
    }

    /// Appends a paragraph of prose, if there is any.
    pub(super) fn paragraphs(&mut self, prose: Option<&str>) {
        for paragraph in prose.unwrap_or_default().split("\n\n") {
            if !paragraph.is_empty() {
                self.markup("<p>");
                self.prose(paragraph);
                self.markup("</p>\n");
            }
        }
    }

    /// Appends a heading to which links to this place lead.
    pub(super) fn heading(&mut self, place: &Place<'_>, text: &str) {
        self.markup("<h3 id=\"");
        self.place(place);
        self.markup("\">");
        self.text(text);
        self.markup("</h3>\n");
    }

    pub(super) fn link(&mut self, place: &Place<'_>, text: &str) {
        self.markup("<a href=\"#");
        self.place(place);
        self.markup("\">");
        self.text(text);
        self.markup("</a>");
    }

    fn place(&mut self, Place(kind, name): &Place<'_>) {
        self.text(kind);
        self.markup("-");
        self.text(name);
    }

    /// Appends an example: a text as it is, else JSON on lines of its own.
    pub(super) fn example(&mut self, value: &Value) {
        self.markup("<pre>");
        match value {
            Value::String(text) => self.text(text),
            json => self.text(&format!("{json:#}")),
        }
        self.markup("</pre>\n");
    }
}

/// A place on the page: the kind of thing that stands there, and its name.
pub(super) struct Place<'a>(pub(super) &'static str, pub(super) &'a str);

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        write(&mut html);
        html.into_string()
    }

    const HOSTILE: &str = r#"<script>'a' & "b"</script>"#;
    const ESCAPED: &str = "&lt;script&gt;&#39;a&#39; &amp; &quot;b&quot;&lt;/script&gt;";

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let check = |write: fn(&mut Html)| {
            let html = written(write);
            assert!(
                html.contains(ESCAPED) && !html.contains("<script"),
                "{html}"
            );
        };
        check(|html| html.text(HOSTILE));
        check(|html| html.code(HOSTILE));
        check(|html| html.prose(HOSTILE));
        check(|html| html.prose(&format!("`{HOSTILE}`")));
        check(|html| html.paragraphs(Some(HOSTILE)));
        check(|html| html.heading(&Place("call", HOSTILE), "a"));
        check(|html| html.heading(&Place("call", "a"), HOSTILE));
        check(|html| html.link(&Place("call", HOSTILE), "a"));
        check(|html| html.link(&Place("call", "a"), HOSTILE));
        check(|html| html.example(&HOSTILE.into()));
    }

    #[test]
    fn an_example_is_json_that_is_escaped() {
        let html = written(|html| html.example(&serde_json::json!({"<b>": ["&", 1]})));
        let expected =
            "<pre>{\n  &quot;&lt;b&gt;&quot;: [\n    &quot;&amp;&quot;,\n    1\n  ]\n}</pre>\n";
        assert_eq!(html, expected);
    }

    #[test]
    fn code_stands_between_backticks() {
        let html = written(|html| html.paragraphs(Some("a `b<` c\n\nd")));
        assert_eq!(html, "<p>a <code>b&lt;</code> c</p>\n<p>d</p>\n");
    }
}
