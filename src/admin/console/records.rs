//! The actions of viewers on a page, and the records that they asked for.

use std::time::Duration;

use super::figures::{count, moment, time, unix_second};
use super::parts::sheet;
use super::viewer::Viewer;
use crate::admin::html::Html;
use crate::pipeline::Sample;

/// Appends who has logged in, with the way out.
pub(super) fn account(html: &mut Html, viewer: &Viewer<'_>) {
    let Some(user) = viewer.user else {
        return;
    };
    html.markup("<form method=\"post\" action=\"/logout\"><span class=\"quiet\">");
    html.text(user);
    html.markup("</span> ");
    token(html, viewer);
    html.markup("<button>Log out</button></form>");
}

/// Appends what can be done with a topic.
pub(super) fn actions(html: &mut Html, topic: &str, has_letters: bool, viewer: &Viewer<'_>) {
    html.markup("<div class=\"actions\">");
    if has_letters {
        action(html, topic, "replay", "Replay all dead letters", viewer);
    }
    if viewer.user.is_some() {
        action(html, topic, "records", "Show records for a minute", viewer);
    } else {
        html.markup("<a href=\"/login?next=/topics/");
        html.text(topic);
        html.markup("\">Log in to see records</a>");
    }
    html.markup("</div>\n");
}

fn action(html: &mut Html, topic: &str, path: &str, name: &str, viewer: &Viewer<'_>) {
    html.markup("<form method=\"post\" action=\"/topics/");
    html.text(topic);
    html.markup("/");
    html.text(path);
    html.markup("\">");
    token(html, viewer);
    html.markup("<button>");
    html.text(name);
    html.markup("</button></form>");
}

/// Appends the field of a form that carries a viewer's token.
fn token(html: &mut Html, viewer: &Viewer<'_>) {
    html.markup("<input type=\"hidden\" name=\"csrf\" value=\"");
    html.text(viewer.csrf);
    html.markup("\">");
}

/// Appends a sample of records.
pub(super) fn samples(html: &mut Html, left: Duration, samples: &[Sample]) {
    sheet(html, "records", "Records as they come");
    html.markup("<p class=\"quiet\">");
    let left = time(left.as_secs());
    html.text(&format!("At most 5 a second, for {left} more."));
    html.markup("</p>");
    for sample in samples {
        html.markup("<h3 class=\"quiet\">");
        html.text(&moment(unix_second(sample.time)));
        html.text(&format!(
            " {} from {}, {} bytes, {}",
            sample.customer,
            sample.user,
            count(sample.bytes as u64),
            sample.id
        ));
        html.markup("</h3><pre>");
        html.text(&sample.data);
        html.markup(if sample.data.len() < sample.bytes {
            "…</pre>\n"
        } else {
            "</pre>\n"
        });
    }
    html.markup("</section>\n");
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_record_is_text_and_says_where_it_was_cut_off() {
        let sample = Sample {
            time: SystemTime::UNIX_EPOCH,
            id: "id".to_owned(),
            customer: "<acme>".to_owned(),
            user: "alice@acme.example".to_owned(),
            bytes: 5_000,
            data: "{\"a\":\"<script>\"}".to_owned(),
        };
        let mut html = Html::default();
        samples(&mut html, Duration::from_secs(30), &[sample]);
        let html = html.into_string();
        assert!(html.contains("&lt;acme&gt; from alice@acme.example, 5,000 bytes"));
        assert!(html.contains("&lt;script&gt;&quot;}…</pre>"), "{html}");
    }

    #[test]
    fn who_has_not_logged_in_is_led_there_for_records_alone() {
        let drawn = |user| {
            let mut html = Html::default();
            let viewer = Viewer {
                user,
                csrf: "to<ken",
            };
            account(&mut html, &viewer);
            actions(&mut html, "events", true, &viewer);
            html.into_string()
        };
        let html = drawn(None);
        assert!(html.contains("/login?next=/topics/events") && !html.contains("/logout"));
        assert!(html.contains("action=\"/topics/events/replay\"") && html.contains("to&lt;ken"));
        let html = drawn(Some("root@iem.example"));
        assert!(html.contains("/topics/events/records") && html.contains("/logout"));
    }
}
