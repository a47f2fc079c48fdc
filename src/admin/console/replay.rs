//! A replay of a topic's dead letters, as the console shows it.

use super::figures::count;
use super::overview::Level;
use super::parts::told;
use crate::admin::html::Html;
use crate::size;

/// A replay that runs, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Records that have been read.
    pub records: u64,
    /// Bytes of the files that have been read.
    pub bytes: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// The obstacle in its way.
    pub trouble: Option<String>,
    /// The outcome; `None` while it runs.
    pub outcome: Option<ReplayOutcome>,
}

/// The outcome of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayOutcome {
    /// Records that the sink has taken.
    pub delivered: u64,
    /// Records that it has refused again, and lines that are no records.
    pub refused: u64,
    /// Records that were under way at its end.
    pub not_delivered: u64,
    /// The files that were removed.
    pub removed: usize,
    /// The reason why it ended early.
    pub error: Option<String>,
}

/// Appends how far a replay is, or what came of it.
pub(super) fn replay(html: &mut Html, replay: &Replay) {
    html.markup("<p role=\"status\">");
    let Some(outcome) = &replay.outcome else {
        html.text(&format!(
            "Replaying: {} records, {} of {} read.",
            count(replay.records),
            size::text(replay.bytes),
            size::text(replay.bytes_total)
        ));
        if let Some(trouble) = &replay.trouble {
            html.markup(" ");
            told(html, Level::Warning, trouble);
        }
        html.markup("</p>\n");
        return;
    };
    let is_good = outcome.error.is_none() && outcome.refused == 0 && outcome.not_delivered == 0;
    let level = if is_good { Level::Good } else { Level::Warning };
    told(html, level, &words(outcome));
    html.markup("</p>\n");
}

fn words(outcome: &ReplayOutcome) -> String {
    let more = |number: u64, words: &str| match number {
        0 => String::new(),
        number => words.replace("{}", &count(number)),
    };
    let delivered = count(outcome.delivered);
    let refused = more(outcome.refused, ", {} refused again and kept");
    let under_way = more(outcome.not_delivered, ", {} under way at its end");
    let removed = more(outcome.removed as u64, "; {} files removed");
    let error = outcome.error.as_ref();
    let error = error.map(|error| format!("; {error}")).unwrap_or_default();
    format!("Replayed: {delivered} delivered{refused}{under_way}{removed}{error}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(of: &Replay) -> String {
        let mut html = Html::default();
        replay(&mut html, of);
        html.into_string()
    }

    #[test]
    fn a_replay_says_how_far_it_is_and_what_came_of_it() {
        let mut replay = Replay {
            records: 1_200,
            bytes: 1 << 20,
            bytes_total: 4 << 20,
            trouble: Some("<away>".to_owned()),
            outcome: None,
        };
        let html = drawn(&replay);
        assert!(
            html.contains("1,200 records, 1.0 MiB of 4.0 MiB read"),
            "{html}"
        );
        assert!(html.contains("&lt;away&gt;"));
        replay.outcome = Some(ReplayOutcome {
            delivered: 3,
            removed: 1,
            ..ReplayOutcome::default()
        });
        assert!(drawn(&replay).contains("Replayed: 3 delivered; 1 files removed."));
        replay.outcome = Some(ReplayOutcome {
            refused: 2,
            error: Some("stopped".to_owned()),
            ..ReplayOutcome::default()
        });
        let html = drawn(&replay);
        assert!(html.contains("warn") && html.contains("2 refused again and kept; stopped."));
    }
}
