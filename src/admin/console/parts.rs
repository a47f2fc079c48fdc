//! The parts that pages of the console are made of.

use super::figures::{count, rate};
use super::overview::{Fill, Level};
use crate::admin::html::Html;

/// The seconds of a line.
const LINE_SECONDS: usize = 60;
/// The height of a line, in units of its own.
const LINE_HEIGHT: f64 = 20.0;

/// Returns the class of a level.
pub(super) fn class(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Warning => "warn",
        Level::Bad => "bad",
    }
}

/// Appends the begin of a page, up to its main part.
pub(super) fn head(html: &mut Html, title: &str, gateway: &str, here: &str) {
    html.begin(
        title,
        "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\
         <script src=\"/console.js\" defer></script>",
    );
    html.markup(
        "<body>\n<a class=\"skip\" href=\"#main\">To the main part</a>\n\
         <header class=\"top\"><h1>iem-gateway <span class=\"quiet\">",
    );
    html.text(gateway);
    html.markup("</span></h1><nav aria-label=\"Pages\">");
    for (path, name) in [
        ("/", "Overview"),
        ("/openapi", "API"),
        ("/metrics", "Metrics"),
    ] {
        html.markup("<a href=\"");
        html.text(path);
        html.markup(if path == here {
            "\" aria-current=\"page\">"
        } else {
            "\">"
        });
        html.text(name);
        html.markup("</a>");
    }
    html.markup("</nav>");
}

/// Appends the begin of the main part, whose live part `stream` keeps up to date.
pub(super) fn main_part(html: &mut Html, heading: Option<&str>, stream: &str) {
    html.markup("</header>\n<main id=\"main\" tabindex=\"-1\">\n");
    if let Some(heading) = heading {
        html.markup("<h2 class=\"name\">");
        html.text(heading);
        html.markup("</h2>\n");
    }
    html.markup("<p id=\"stale\" role=\"status\" hidden></p>\n<div id=\"live\" data-stream=\"");
    html.text(stream);
    html.markup("\">\n");
}

/// Appends the end of a page.
pub(super) fn foot(html: &mut Html) {
    html.markup(
        "<footer>Drawn once a second while somebody looks. Rates are those of the last 5 s; \
         times are in UTC.</footer>\n</main>\n</body>\n</html>\n",
    );
}

/// Appends the begin of a sheet with this heading, which is also its name.
pub(super) fn sheet(html: &mut Html, id: &'static str, heading: &str) {
    html.markup("<section class=\"sheet\" aria-labelledby=\"");
    html.markup(id);
    html.markup("\"><h2 id=\"");
    html.markup(id);
    html.markup("\">");
    html.text(heading);
    html.markup("</h2>\n");
}

/// Appends the sign of a level, for the eye alone.
pub(super) fn sign(html: &mut Html, level: Level) {
    html.markup("<span class=\"sign\" aria-hidden=\"true\">");
    html.markup(match level {
        Level::Good => "✓",
        Level::Warning => "!",
        Level::Bad => "✕",
    });
    html.markup("</span>");
}

/// Appends words with sign and colour of their level.
pub(super) fn told(html: &mut Html, level: Level, words: &str) {
    html.markup("<span class=\"");
    html.markup(class(level));
    html.markup("\">");
    sign(html, level);
    html.text(words);
    html.markup("</span>");
}

/// Appends a heading of a column.
pub(super) fn column(html: &mut Html, name: &str, is_number: bool) {
    html.markup(if is_number {
        "<th scope=\"col\" class=\"n\">"
    } else {
        "<th scope=\"col\">"
    });
    html.text(name);
    html.markup("</th>");
}

/// Appends a cell with a number.
pub(super) fn number(html: &mut Html, text: &str) {
    html.markup("<td class=\"n\">");
    html.text(text);
    html.markup("</td>");
}

/// Appends a name and its value in a list of pairs.
pub(super) fn pair(html: &mut Html, name: &str, value: &str) {
    html.markup("<dt>");
    html.text(name);
    html.markup("</dt><dd>");
    html.text(value);
    html.markup("</dd>\n");
}

/// Returns the level of something that is so full, in percent.
pub(super) fn fill_level(percent: u64) -> Level {
    match percent {
        0..60 => Level::Good,
        60..90 => Level::Warning,
        _ => Level::Bad,
    }
}

/// Appends how full something is, with a bar for the eye and with words.
pub(super) fn fill(html: &mut Html, percent: u64, words: &str) {
    html.text(&format!("{percent} % "));
    html.markup("<small>");
    html.text(words);
    html.markup(
        "</small><svg class=\"bar\" viewBox=\"0 0 100 5\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><rect width=\"100\" height=\"5\"/><rect class=\"part",
    );
    let level = fill_level(percent);
    if level != Level::Good {
        html.markup(" ");
        html.markup(class(level));
    }
    html.markup("\" height=\"5\" width=\"");
    html.text(&percent.to_string());
    html.markup("\"/></svg>");
}

/// Returns the words of a fill of records or other things.
pub(super) fn of(fill: Fill) -> String {
    format!("{} of {}", count(fill.used), count(fill.limit))
}

/// Appends the line of the last minute. Its top is the largest value.
pub(super) fn line(html: &mut Html, values: &[f64]) {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    html.markup(
        "<svg class=\"line\" viewBox=\"0 0 59 20\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"",
    );
    if values.is_empty() {
        html.markup("No records a second are known yet");
    } else {
        let [smallest, largest] = [smallest, largest].map(|value| rate(Some(value)));
        html.text(&format!(
            "Records a second in the last minute: from {smallest} to {largest}"
        ));
    }
    html.markup("\">");
    if !values.is_empty() {
        let points = points(values, largest);
        let first = LINE_SECONDS - values.len().min(LINE_SECONDS);
        html.markup("<polygon points=\"");
        html.text(&format!("{first},{LINE_HEIGHT} {points} 59,{LINE_HEIGHT}"));
        html.markup("\"/><polyline points=\"");
        html.text(&points);
        html.markup("\"/>");
    }
    html.markup("</svg>");
}

/// Returns the points of a line, the latest at the right end.
fn points(values: &[f64], largest: f64) -> String {
    let left_out = values.len().saturating_sub(LINE_SECONDS);
    let values = &values[left_out..];
    let first = LINE_SECONDS - values.len();
    let scale = if largest > 0.0 {
        // The line's own width stays within the picture.
        (LINE_HEIGHT - 2.0) / largest
    } else {
        0.0
    };
    let points = values.iter().enumerate().map(|(index, value)| {
        let y = LINE_HEIGHT - 1.0 - value * scale;
        format!("{},{y:.1}", first + index)
    });
    points.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_the_right_and_is_as_high_as_its_largest_value() {
        assert_eq!(points(&[0.0, 10.0, 5.0], 10.0), "57,19.0 58,1.0 59,10.0");
        assert_eq!(points(&[0.0], 0.0), "59,19.0");
        let many = points(&[1.0; 100], 1.0);
        assert!(many.starts_with("0,1.0 ") && many.ends_with(" 59,1.0"));
    }

    #[test]
    fn a_line_says_in_words_what_it_shows() {
        let mut html = Html::default();
        line(&mut html, &[]);
        line(&mut html, &[1.0, 2_000.0]);
        let html = html.into_string();
        assert!(html.contains("No records a second are known yet"));
        assert!(html.contains("from 1.0 to 2,000"));
    }
}
