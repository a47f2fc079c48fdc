//! Whether all is well, and why not, in words. The reasons are the same as those of the alerts, but
//! for their patience: this is a look, not a page in the night.

use super::figures::{count, date, signed, time, whole};
use super::moment::Moment;
use super::overview::{CertificatePart, Fill, Level, Overview, Reason, TopicPart, Verdict};

/// A bound of which more is used, in percent, needs a look.
const PERCENT_MAX: u64 = 80;
/// A topic that will be full sooner, in seconds, needs a look, and help.
const FULL_IN_LOOK: f64 = 3_600.0;
const FULL_IN_HELP: f64 = 900.0;
/// The share of requests answered 503, in percent, that needs a look; of fewer requests it says
/// nothing.
const UNAVAILABLE_PERCENT: u64 = 1;
const REQUESTS_MIN: u64 = 20;
/// The seconds before its end at which a certificate needs a look: 14 days.
pub(super) const RENEWAL_S: i64 = 14 * 86_400;
/// The seconds for which the directory may be of unknown age.
const STALE_S: u64 = 60;

/// Returns the verdict on an overview, and on the moment that it is of.
pub(super) fn verdict(overview: &Overview, now: &Moment) -> Verdict {
    let mut reasons = Vec::new();
    if now.draining {
        reasons.push(reason(
            Level::Warning,
            "Gateway",
            "drains: it finishes what it has accepted, and takes nothing more.".to_owned(),
        ));
    }
    let ledger = &overview.ledger;
    if ledger.unaccounted != 0 {
        let records = signed(ledger.unaccounted);
        reasons.push(reason(
            Level::Bad,
            "Ledger",
            format!(
                "{records} accepted records whose place or end is not known. Please report it."
            ),
        ));
    }
    if ledger.damaged > 0 {
        let records = records(ledger.damaged);
        reasons.push(reason(
            Level::Warning,
            "Ledger",
            format!("{records} lost by damage to a journal's files."),
        ));
    }
    for topic in &overview.topics {
        topic_reasons(topic, &mut reasons);
    }
    for file in &now.faulty_files {
        let text = format!("not in use as it stands: {file}");
        reasons.push(reason(Level::Warning, "File", text));
    }
    let stale_s = overview.directory.stale_s;
    if stale_s >= STALE_S {
        let text = format!("not known to be the file's for {}.", time(stale_s));
        reasons.push(reason(Level::Warning, "Directory", text));
    }
    reasons.extend(overview.certificates.iter().filter_map(certificate));
    let bounds = [
        (
            "Memory",
            overview.memory,
            "of the budget for bodies and waiting records is used.",
        ),
        (
            "Connections",
            overview.clients.connections,
            "of max_connections are open.",
        ),
    ];
    for (subject, fill, words) in bounds {
        if fill.percent() >= PERCENT_MAX {
            let text = format!("{} % {words}", fill.percent());
            reasons.push(reason(Level::Warning, subject, text));
        }
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.level));
    Verdict {
        level: reasons.first().map_or(Level::Good, |worst| worst.level),
        reasons,
    }
}

fn topic_reasons(topic: &TopicPart, reasons: &mut Vec<Reason>) {
    let subject = format!("Topic {}", topic.name);
    let mut add = |level, text| reasons.push(reason(level, &subject, text));
    let sink = &topic.sink;
    let is_full = topic.journal.as_ref().map(|journal| journal.is_full);
    let soon = topic.full_in_s.filter(|left| *left <= FULL_IN_LOOK);
    let until = soon.map(|left| format!("full in {}", time(whole(left))));
    match (&topic.trouble, is_full) {
        (Some(trouble), None) => add(
            Level::Bad,
            format!("{sink} takes no records: {trouble}. Clients get 503."),
        ),
        (Some(trouble), Some(true)) => add(
            Level::Bad,
            format!(
                "the journal is full, and {sink} takes no records: {trouble}. Clients get 503."
            ),
        ),
        (None, Some(true)) => add(
            Level::Bad,
            format!("the journal is full. Clients get 503 until {sink} has taken enough of it."),
        ),
        (Some(trouble), Some(false)) => {
            let is_urgent = soon.is_some_and(|left| left <= FULL_IN_HELP);
            let level = if is_urgent {
                Level::Bad
            } else {
                Level::Warning
            };
            let until = until.map_or_else(String::new, |until| format!(", {until}"));
            add(
                level,
                format!("{sink} takes no records: {trouble}. The journal keeps them{until}."),
            );
        }
        (None, Some(false) | None) => {
            if let Some(until) = until {
                add(Level::Warning, format!("fills up, {until}."));
            }
        }
    }
    if topic.channel().percent() >= PERCENT_MAX {
        let percent = topic.channel().percent();
        add(Level::Warning, format!("its channel is {percent} % full."));
    }
    let share = Fill {
        used: topic.unavailable,
        limit: topic.requests,
    };
    if topic.requests >= REQUESTS_MIN && share.percent() >= UNAVAILABLE_PERCENT {
        let percent = share.percent();
        add(
            Level::Warning,
            format!("{percent} % of the last minute's requests were answered 503."),
        );
    }
    if topic.dead_lettered_lately > 0 {
        let records = records(topic.dead_lettered_lately);
        add(
            Level::Warning,
            format!("{records} more among the dead letters in the last minute."),
        );
    }
    if topic.dead_letters_lost > 0 {
        let records = records(topic.dead_letters_lost);
        add(
            Level::Warning,
            format!("{records} that {sink} refused could not be kept."),
        );
    }
}

fn certificate(part: &CertificatePart) -> Option<Reason> {
    if part.left_s >= RENEWAL_S {
        return None;
    }
    let date = date(part.ends);
    let (level, text) = if part.left_s < 0 {
        (Level::Bad, format!("ended on {date}."))
    } else {
        let left = time(part.left_s.unsigned_abs());
        (Level::Warning, format!("ends on {date}, in {left}."))
    };
    Some(reason(level, &part.name, text))
}

fn records(number: u64) -> String {
    let noun = if number == 1 { "record" } else { "records" };
    format!("{} {noun}", count(number))
}

fn reason(level: Level, subject: &str, text: String) -> Reason {
    Reason {
        level,
        subject: subject.to_owned(),
        text,
    }
}

#[cfg(test)]
mod tests;
