//! The first screen of the console as lines of text. Every line fits into the columns.

use crate::admin::console::figures::{
    UNKNOWN, count, latency, of_quota, rate, signed, time, whole,
};
use crate::admin::console::first::headline;
use crate::admin::console::overview::{CustomerPart, Level, Overview, TopicPart};
use crate::size;

/// The fewest columns that lines are made for.
const COLUMNS_MIN: usize = 60;
/// The columns of a topic's row before its line and its sink.
const ROW_COLUMNS: usize = 69;
/// The columns that a sink has beside a line.
const SINK_COLUMNS: usize = 28;
/// The columns of a line: a second each.
const LINE_COLUMNS: usize = 60;
/// The eight heights of a line.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The place that lines are made for.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    /// Columns.
    pub(super) columns: usize,
    /// Whether colours are shown.
    pub(super) is_terminal: bool,
}

impl Screen {
    /// Returns the lines of an overview.
    pub(super) fn lines(self, overview: &Overview) -> Vec<String> {
        let mut lines = vec![self.bold(&self.fit(&format!(
            "iem-gateway {} {}, up {}",
            overview.name,
            overview.version,
            time(overview.up_s)
        )))];
        let verdict = &overview.verdict;
        lines.push(self.told(verdict.level, headline(verdict)));
        for reason in &verdict.reasons {
            let text = format!("{}: {}", reason.subject, reason.text);
            let wrapped = self.wrapped(&text, 4);
            for (index, line) in wrapped.iter().enumerate() {
                lines.push(if index == 0 {
                    format!("  {}", self.told(reason.level, line))
                } else {
                    format!("    {line}")
                });
            }
        }
        lines.extend(self.wrapped(&ledger(overview), 0));
        lines.push(String::new());
        lines.extend(self.topics(&overview.topics));
        lines.push(String::new());
        lines.extend(self.wrapped(&clients(overview), 0));
        lines.push(String::new());
        lines.extend(self.customers(&overview.customers.top));
        if !overview.limits.is_empty() {
            let limits = overview.limits.iter();
            let limits: Vec<_> = limits
                .map(|part| format!("{} {}", part.limit, count(part.reached.total)))
                .collect();
            lines.push(String::new());
            lines.extend(self.wrapped(&format!("Limits reached: {}", limits.join(" · ")), 0));
        }
        lines
    }

    fn topics(self, topics: &[TopicPart]) -> Vec<String> {
        let line_columns = self.line_columns();
        let gap = if line_columns > 0 {
            format!("{:<line_columns$}  ", "LAST MINUTE")
        } else {
            String::new()
        };
        let head = format!(
            "{:<13}{:>10}{:>9}{:>9}{:>9}{:>9}  {:<6}  {gap}SINK",
            "TOPIC", "RECORDS/S", "P50", "P99", "CHANNEL", "JOURNAL", "FULL"
        );
        let rows = topics.iter().map(|topic| self.topic(topic, line_columns));
        std::iter::once(self.bold(&self.fit(&head)))
            .chain(rows)
            .collect()
    }

    fn topic(self, topic: &TopicPart, line_columns: usize) -> String {
        let journal = topic.journal.as_ref();
        let journal_percent = journal.map_or("none".to_owned(), |it| format!("{} %", it.percent()));
        let full = match topic.full_in_s {
            _ if journal.is_some_and(|journal| journal.is_full) => "now".to_owned(),
            // Its two units are more than the column has room for.
            Some(left) => short(whole(left)),
            None => UNKNOWN.to_owned(),
        };
        let mut row = format!(
            "{:<13}{:>10}{:>9}{:>9}{:>9}{:>9}  {:<6}  ",
            topic.name,
            rate(topic.rate),
            latency(topic.p50_s),
            latency(topic.p99_s),
            format!("{} %", topic.channel().percent()),
            journal_percent,
            full
        );
        if line_columns > 0 {
            row.push_str(&line(&topic.line, line_columns));
            row.push_str("  ");
        }
        if self.columns() < ROW_COLUMNS + 3 {
            return self.fit(&row);
        }
        let (level, words) = match &topic.trouble {
            None => (Level::Good, topic.sink.clone()),
            Some(trouble) => (Level::Bad, format!("{}: {trouble}", topic.sink)),
        };
        let room = self.columns().saturating_sub(row.chars().count() + 2);
        row + &self.told(level, &shortened(&words, room))
    }

    /// Returns the columns that there are for a line of the last minute.
    fn line_columns(self) -> usize {
        let left = self
            .columns()
            .saturating_sub(ROW_COLUMNS + SINK_COLUMNS + 4);
        match left.min(LINE_COLUMNS) {
            // A line of less than a quarter of a minute says nothing.
            0..15 => 0,
            columns => columns,
        }
    }

    fn customers(self, customers: &[CustomerPart]) -> Vec<String> {
        if customers.is_empty() {
            return vec!["No customer has sent a record since the start.".to_owned()];
        }
        let head = format!(
            "{:<24}{:>10}{:>14}{:>12}  {:<14}",
            "CUSTOMER", "RECORDS/S", "ACCEPTED", "REFUSED", "OF ITS QUOTA"
        );
        let row = |part: &CustomerPart| {
            let name = part.customer.as_deref().unwrap_or("(all others)");
            let quota = of_quota(part.rate, part.quota);
            self.fit(&format!(
                "{:<24}{:>10}{:>14}{:>12}  {quota}",
                shortened(name, 23),
                rate(part.rate),
                count(part.accepted),
                count(part.refused)
            ))
        };
        let head = self.bold(&self.fit(&head));
        std::iter::once(head)
            .chain(customers.iter().map(row))
            .collect()
    }

    fn columns(self) -> usize {
        self.columns.max(COLUMNS_MIN)
    }

    fn fit(self, text: &str) -> String {
        shortened(text, self.columns())
    }

    /// Returns a text on as many lines as it needs, of which each has `indent` columns fewer.
    fn wrapped(self, text: &str, indent: usize) -> Vec<String> {
        let columns = self.columns() - indent;
        let mut lines = vec![String::new()];
        for word in plain(text).split_whitespace() {
            let word = shortened(word, columns);
            let last = lines.last_mut().expect("there is a first line");
            if last.is_empty() {
                *last = word;
            } else if last.chars().count() + 1 + word.chars().count() <= columns {
                last.push(' ');
                last.push_str(&word);
            } else {
                lines.push(word);
            }
        }
        lines
    }

    /// Returns words behind the sign of their level.
    fn told(self, level: Level, words: &str) -> String {
        let (sign, colour) = match level {
            Level::Good => ('✓', "32"),
            Level::Warning => ('!', "33"),
            Level::Bad => ('✕', "31"),
        };
        self.styled(colour, &format!("{sign} {words}"))
    }

    fn bold(self, text: &str) -> String {
        self.styled("1", text)
    }

    fn styled(self, style: &str, text: &str) -> String {
        if self.is_terminal {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn ledger(overview: &Overview) -> String {
    let ledger = &overview.ledger;
    let mut parts = vec![
        format!(
            "accepted {} ({}/s)",
            count(ledger.accepted),
            rate(ledger.accepted_rate)
        ),
        format!(
            "delivered {} ({}/s)",
            count(ledger.delivered),
            rate(ledger.delivered_rate)
        ),
    ];
    for (name, number) in [
        ("in a journal", ledger.backlog),
        ("in flight", ledger.in_flight),
        ("refused", ledger.refused),
        ("answered 503", ledger.undelivered),
        ("dead-lettered", ledger.dead_lettered),
    ] {
        parts.push(format!("{name} {}", count(number)));
    }
    if ledger.damaged > 0 {
        parts.push(format!("lost by damage {}", count(ledger.damaged)));
    }
    parts.push(format!("unaccounted {}", signed(ledger.unaccounted)));
    parts.join(" · ")
}

fn clients(overview: &Overview) -> String {
    let clients = &overview.clients;
    format!(
        "connections {} of {} ({} HTTP/2) · requests {}/s · 503 {} · log-ins refused {} · \
         memory {} of {}",
        count(clients.connections.used),
        count(clients.connections.limit),
        count(clients.http2),
        rate(clients.request_rate),
        count(clients.unavailable.lately),
        count(clients.log_ins_refused.lately),
        size::text(overview.memory.used),
        size::text(overview.memory.limit)
    )
}

/// Returns a line of the latest seconds, the last one at its end.
fn line(values: &[f64], columns: usize) -> String {
    let values = &values[values.len().saturating_sub(columns)..];
    let largest = values.iter().copied().fold(0.0, f64::max);
    let height = |value: &f64| {
        let part = if largest > 0.0 { value / largest } else { 0.0 };
        let last = HEIGHTS.len() - 1;
        // A whole number up to 7.
        let index = usize::try_from(whole(part * 7.0)).unwrap_or(last);
        HEIGHTS[index.min(last)]
    };
    let line: String = values.iter().map(height).collect();
    format!("{line:>columns$}")
}

/// Returns a time in its largest unit.
fn short(seconds: u64) -> String {
    let text = time(seconds);
    let mut words = text.split(' ');
    format!(
        "{}{}",
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default()
    )
}

/// Returns a text without what a terminal takes as a command.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Returns a text that has no more columns, with a mark where it was cut off.
fn shortened(text: &str, columns: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= columns {
        return text;
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests;
