//! The first screen as HTML.

mod sheets;

use super::figures::{UNKNOWN, count, latency, rate, signed, time, whole};
use super::overview::{Level, Overview, TopicPart, Verdict};
use super::parts::{class, fill, line, of, sheet, sign, told};
use crate::admin::html::Html;
use crate::size;
use sheets::{clients, credentials, customers, limits};

/// Returns the part of the first screen that changes.
pub(super) fn live(overview: &Overview) -> String {
    let mut html = Html::default();
    verdict(&mut html, &overview.verdict);
    ledger(&mut html, overview);
    topics(&mut html, &overview.topics);
    html.markup("<div class=\"sheets\">\n");
    customers(&mut html, &overview.customers);
    clients(&mut html, overview);
    html.markup("<div class=\"stacked\">\n");
    limits(&mut html, overview);
    credentials(&mut html, overview);
    html.markup("</div></div>\n");
    html.into_string()
}

/// Returns the verdict in a few words.
pub fn headline(verdict: &Verdict) -> &'static str {
    match verdict.level {
        Level::Good => "All is well",
        Level::Warning => "Needs a look",
        Level::Bad => "In trouble",
    }
}

fn verdict(html: &mut Html, verdict: &Verdict) {
    html.markup("<section class=\"verdict ");
    html.markup(class(verdict.level));
    html.markup("\" role=\"status\" aria-label=\"Verdict\"><h2><strong class=\"");
    html.markup(class(verdict.level));
    html.markup("\">");
    sign(html, verdict.level);
    html.text(headline(verdict));
    html.markup("</strong></h2>\n<ul>");
    if verdict.reasons.is_empty() {
        html.markup("<li>All sinks take records, and every accepted record is accounted for.</li>");
    }
    for reason in &verdict.reasons {
        html.markup("<li>");
        told(html, reason.level, &format!("{}:", reason.subject));
        html.markup(" ");
        html.text(&reason.text);
        html.markup("</li>");
    }
    html.markup("</ul></section>\n");
}

fn ledger(html: &mut Html, overview: &Overview) {
    let ledger = &overview.ledger;
    html.markup("<dl class=\"ledger\" aria-label=\"The ledger\">");
    let mut item = |name: &str, value: &str, rate: Option<String>| {
        html.markup("<div><dt>");
        html.text(name);
        html.markup("</dt><dd>");
        html.text(value);
        if let Some(rate) = rate {
            html.markup(" <small>");
            html.text(&rate);
            html.markup("/s</small>");
        }
        html.markup("</dd></div>");
    };
    item(
        "Accepted",
        &count(ledger.accepted),
        Some(rate(ledger.accepted_rate)),
    );
    item(
        "Delivered",
        &count(ledger.delivered),
        Some(rate(ledger.delivered_rate)),
    );
    item("In a journal", &count(ledger.backlog), None);
    item("In flight", &count(ledger.in_flight), None);
    item("Refused by a sink", &count(ledger.refused), None);
    item("Answered 503", &count(ledger.undelivered), None);
    item("Dead-lettered", &count(ledger.dead_lettered), None);
    if ledger.damaged > 0 {
        item("Lost by damage", &count(ledger.damaged), None);
    }
    html.markup("<div><dt>Unaccounted</dt><dd>");
    let level = if ledger.unaccounted == 0 {
        Level::Good
    } else {
        Level::Bad
    };
    told(html, level, &signed(ledger.unaccounted));
    html.markup("</dd></div></dl>\n");
}

/// The columns of the topics, and whether they hold numbers.
const COLUMNS: [(&str, bool); 8] = [
    ("Topic", false),
    ("Records/s", true),
    ("p50", true),
    ("p99", true),
    ("Channel", false),
    ("Journal", false),
    ("Full in", false),
    ("Sink", false),
];

/// Appends the table of topics. A narrow screen shows it as cards, so that it says its roles.
pub(super) fn topics(html: &mut Html, topics: &[TopicPart]) {
    sheet(html, "topics", "Topics");
    html.markup(
        "<table class=\"topics\" role=\"table\"><thead role=\"rowgroup\"><tr role=\"row\">",
    );
    for (name, is_number) in COLUMNS {
        html.markup("<th scope=\"col\" role=\"columnheader\" class=\"");
        html.markup(if is_number { "n\">" } else { "\">" });
        html.text(name);
        html.markup("</th>");
    }
    html.markup("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for topic in topics {
        row(html, topic);
    }
    html.markup("</tbody></table></section>\n");
}

fn row(html: &mut Html, topic: &TopicPart) {
    html.markup("<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><a href=\"/topics/");
    html.text(&topic.name);
    html.markup("\">");
    html.text(&topic.name);
    html.markup("</a></th>");
    html.markup("<td role=\"cell\" data-of=\"Records/s\"><div class=\"flow\">");
    line(html, &topic.line);
    html.markup("<b>");
    html.text(&rate(topic.rate));
    html.markup("</b></div></td>");
    for (name, seconds) in [("p50", topic.p50_s), ("p99", topic.p99_s)] {
        html.markup("<td role=\"cell\" class=\"n");
        html.markup(if seconds.is_none() { " empty" } else { "" });
        html.markup("\" data-of=\"");
        html.markup(name);
        html.markup("\">");
        html.text(&latency(seconds));
        html.markup("</td>");
    }
    html.markup("<td role=\"cell\" class=\"fill\" data-of=\"Channel\"><div>");
    channel(html, topic);
    html.markup("</div></td>");
    let empty = if topic.journal.is_none() {
        " empty"
    } else {
        ""
    };
    html.markup("<td role=\"cell\" class=\"fill");
    html.markup(empty);
    html.markup("\" data-of=\"Journal\"><div>");
    journal(html, topic);
    html.markup("</div></td>");
    full_in(html, topic);
    html.markup("<td role=\"cell\" class=\"state\" data-of=\"Sink\"><div>");
    sink(html, topic);
    html.markup("</div></td></tr>\n");
}

/// Appends how full a topic's channel is.
pub(super) fn channel(html: &mut Html, topic: &TopicPart) {
    let channel = topic.channel();
    let words = if channel == topic.records {
        format!("{} records", of(channel))
    } else {
        format!(
            "{} of {}",
            size::text(channel.used),
            size::text(channel.limit)
        )
    };
    fill(html, channel.percent(), &words);
}

/// Appends how full a topic's journal is, if it has one.
pub(super) fn journal(html: &mut Html, topic: &TopicPart) {
    let Some(journal) = &topic.journal else {
        html.markup("<span class=\"none\">none</span>");
        return;
    };
    let words = if journal.backlog == 0 {
        "nothing waits".to_owned()
    } else {
        let (backlog, age) = (count(journal.backlog), time(journal.age_s.used));
        format!("{backlog} wait, the oldest {age}")
    };
    fill(html, journal.percent(), &words);
}

fn full_in(html: &mut Html, topic: &TopicPart) {
    let is_full = topic
        .journal
        .as_ref()
        .is_some_and(|journal| journal.is_full);
    html.markup("<td role=\"cell\" class=\"");
    html.markup(if is_full || topic.full_in_s.is_some() {
        ""
    } else {
        "empty"
    });
    html.markup("\" data-of=\"Full in\"><span>");
    match topic.full_in_s {
        _ if is_full => told(html, Level::Bad, "full"),
        Some(left) => told(html, Level::Warning, &time(whole(left))),
        None => {
            html.markup("<span class=\"none\">");
            html.text(UNKNOWN);
            html.markup("</span>");
        }
    }
    html.markup("</span></td>");
}

/// Appends whether a topic's sink takes records, and its last error.
pub(super) fn sink(html: &mut Html, topic: &TopicPart) {
    if let Some(trouble) = &topic.trouble {
        let words = format!("{} takes no records", topic.sink);
        told(html, Level::Bad, &words);
        html.markup(" <small>");
        html.text(trouble);
        html.markup("</small>");
        return;
    }
    told(html, Level::Good, &format!("{} takes records", topic.sink));
    if let Some(error) = &topic.last_error {
        html.markup(" <small>last error ");
        html.text(&time(error.ago_s));
        html.markup(" ago: ");
        html.text(&error.message);
        html.markup("</small>");
    }
}

#[cfg(test)]
mod tests;
