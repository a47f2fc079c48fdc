//! The page of a topic as HTML.

use std::time::{Duration, SystemTime};

use super::dead_letters::DeadLetters;
use super::figures::{count, latency, moment, rate, time, unix_second, whole};
use super::first::{channel, journal, sink};
use super::overview::{Level, TopicPart};
use super::parts::{column, line, number, sheet, told};
use super::records::samples;
use super::refusals::{Group, groups};
use super::replay::{Replay, replay};
use crate::admin::html::Html;
use crate::pipeline::Sample;
use crate::size;
use crate::telemetry::Refusal;

/// The facts that the page shows.
pub(super) struct TopicPage<'p> {
    /// The topic's row of the first screen.
    pub(super) topic: &'p TopicPart,
    /// The latest refusals of its endpoint, the last one first.
    pub(super) refusals: &'p [Refusal],
    /// Its dead letters; `None` if it keeps none.
    pub(super) letters: Option<&'p DeadLetters>,
    /// The replay of them that runs, or the last one.
    pub(super) replay: Option<Replay>,
    /// The time for which a sample of records is still taken, and the latest of them; `None` if none
    /// is taken, or if they are not for the viewer.
    pub(super) samples: Option<(Duration, Vec<Sample>)>,
    /// The time that ages are reckoned from.
    pub(super) now: SystemTime,
}

impl TopicPage<'_> {
    /// Returns the part of the page that changes.
    pub(super) fn live(&self) -> String {
        let mut html = Html::default();
        self.state(&mut html);
        self.refusals(&mut html);
        self.letters(&mut html);
        if let Some((left, latest)) = &self.samples {
            samples(&mut html, *left, latest);
        }
        html.into_string()
    }

    fn state(&self, html: &mut Html) {
        let topic = self.topic;
        sheet(html, "state", "State");
        html.markup("<dl class=\"pairs facts\"><dt>Sink</dt><dd class=\"state\">");
        sink(html, topic);
        html.markup("</dd><dt>Records/s</dt><dd><div class=\"flow\">");
        line(html, &topic.line);
        html.markup("<b>");
        html.text(&rate(topic.rate));
        html.markup("</b></div></dd><dt>Requests</dt><dd>");
        html.text(&format!(
            "half take at most {}, 99 of 100 at most {}",
            latency(topic.p50_s),
            latency(topic.p99_s)
        ));
        html.markup("</dd><dt>In the last minute</dt><dd>");
        html.text(&format!(
            "{} requests, {} answered 503",
            count(topic.requests),
            count(topic.unavailable)
        ));
        html.markup("</dd><dt>Channel</dt><dd>");
        channel(html, topic);
        html.markup("</dd><dt>Journal</dt><dd>");
        journal(html, topic);
        html.markup("</dd>");
        if let Some(left) = topic.full_in_s {
            html.markup("<dt>Full in</dt><dd>");
            told(html, Level::Warning, &time(whole(left)));
            html.markup("</dd>");
        }
        html.markup("</dl></section>\n");
    }

    fn refusals(&self, html: &mut Html) {
        sheet(html, "refusals", "Latest refusals");
        if self.refusals.is_empty() {
            html.markup("<p class=\"quiet\">None since the start.</p></section>\n");
            return;
        }
        html.markup("<p class=\"quiet\">Of the topic's own path, the latest ");
        html.text(&self.refusals.len().to_string());
        html.markup(" by reason.</p><table class=\"plain\"><thead><tr>");
        column(html, "Status", false);
        column(html, "Reason", false);
        column(html, "Requests", true);
        column(html, "Last", true);
        column(html, "Last from", false);
        html.markup("</tr></thead><tbody>\n");
        for Group { last, requests } in groups(self.refusals) {
            html.markup("<tr><th scope=\"row\">");
            html.text(&last.status.to_string());
            html.markup("</th><td>");
            html.text(&last.message);
            html.markup("</td>");
            number(html, &count(requests));
            number(html, &format!("{} ago", self.ago(last.at)));
            html.markup("<td>");
            if let Some(user) = &last.user {
                html.text(user);
                html.markup(" ");
            }
            html.markup("<small>");
            html.text(&last.peer.to_string());
            html.markup("</small></td></tr>\n");
        }
        html.markup("</tbody></table></section>\n");
    }

    fn letters(&self, html: &mut Html) {
        sheet(html, "letters", "Dead letters");
        let Some(letters) = self.letters else {
            html.markup(
                "<p class=\"quiet\">This topic keeps none: what its sink refuses is told to the \
                 client alone.</p></section>\n",
            );
            return;
        };
        if let Some(error) = &letters.error {
            html.markup("<p>");
            told(
                html,
                Level::Warning,
                &format!("They cannot be read: {error}"),
            );
            html.markup("</p></section>\n");
            return;
        }
        html.markup("<p>");
        if letters.files == 0 {
            html.markup("<span class=\"quiet\">There are none.</span>");
        } else {
            let noun = if letters.files == 1 { "file" } else { "files" };
            html.text(&format!(
                "{} {noun}, {}. The latest letters:",
                count(letters.files as u64),
                size::text(letters.bytes)
            ));
        }
        html.markup("</p>\n");
        if !letters.latest.is_empty() {
            Self::latest(html, letters);
        }
        if let Some(state) = &self.replay {
            replay(html, state);
        }
        html.markup("</section>\n");
    }

    fn latest(html: &mut Html, letters: &DeadLetters) {
        html.markup("<table class=\"plain\"><thead><tr>");
        for (name, is_number) in [
            ("Accepted", false),
            ("Reason", false),
            ("Customer", false),
            ("Sent by", false),
            ("Bytes", true),
            ("Id", false),
        ] {
            column(html, name, is_number);
        }
        html.markup("</tr></thead><tbody>\n");
        for letter in &letters.latest {
            html.markup("<tr><td>");
            html.text(&moment(unix_second(letter.time)));
            html.markup("</td><td>");
            html.text(&letter.reason);
            html.markup("</td><td>");
            html.text(&letter.customer);
            html.markup("</td><td>");
            html.text(&letter.user);
            html.markup("</td>");
            number(html, &count(letter.bytes as u64));
            html.markup("<td><code>");
            html.text(&letter.id);
            html.markup("</code></td></tr>\n");
        }
        html.markup("</tbody></table>\n");
    }

    fn ago(&self, at: SystemTime) -> String {
        time(self.now.duration_since(at).unwrap_or_default().as_secs())
    }
}
