//! `journal drain`: forwards what is left in the journals of a stopped gateway, by the pipelines that
//! the gateway itself has.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use iem_journal::{Counts, PassProgress};
use serde_json::{Value, json};

use super::error::JournalError;
use super::folders::{is_journal, topic};
use super::progress::Progress;
use super::verdict::Verdict;
use crate::cli::stop::Stop;
use crate::config::Config;
use crate::gateway::{self, Backlog, Backlogs};
use crate::record::Kind;
use crate::replay::{Ending, Patience};

/// The time that the sinks have to open their topics, before records are waited for.
const OPEN_TIME: Duration = Duration::from_secs(5);
/// The time between two looks at what is left.
const TICK: Duration = Duration::from_millis(50);
/// The time for records that are on their way when a signal comes.
const STOP_TIME: Duration = Duration::from_secs(1);

/// Forward what is left in the journals of a stopped gateway, and end once nothing is.
///
/// Records go to the sinks of their topics, in order, as the gateway forwards them, also for a topic
/// whose durability is no longer `journaled`. Exit code 0 says that nothing is left, 1 that something
/// is, or that damage was found. SIGTERM and Ctrl-C end it in order.
#[derive(Clone, Debug, Args)]
pub struct DrainCommand {
    /// The topics [default: all that have a journal]
    #[arg(value_name = "TOPIC", value_parser = topic)]
    topics: Vec<Kind>,
    /// Folder with one folder a topic [default: journal.path of the configuration]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Give up once the sinks have taken nothing for so long, such as 5m [default: wait]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

/// The journal of a topic before and after.
struct Drained {
    kind: Kind,
    folder: PathBuf,
    dead_letters: PathBuf,
    before: Counts,
    bytes: u64,
    after: Counts,
    trouble: Option<String>,
}

impl DrainCommand {
    /// Runs the command. Blocks.
    pub(super) fn run(
        self,
        config: &Config,
        json: bool,
        out: &mut dyn Write,
        progress: &mut Progress<'_>,
    ) -> Result<Verdict, JournalError> {
        let stop = Stop::on_signals().map_err(JournalError::System)?;
        let mut config = config.clone();
        if let Some(folder) = self.folder {
            config.journal.path = folder;
        }
        let mut topics = find(&config, &self.topics)?;
        let has_backlog = |topic: &&Drained| topic.before.backlog() > 0;
        let kinds = topics.iter().filter(has_backlog).map(|topic| topic.kind);
        let kinds: Vec<_> = kinds.collect();
        let mut ending = Ending::Done;
        let mut closed = Ok(());
        if !kinds.is_empty() {
            let backlogs = Backlogs::open(&config, &kinds)?;
            let open_time = self.timeout.map_or(OPEN_TIME, |time| time.min(OPEN_TIME));
            if let Err(error) = backlogs.opened(Instant::now() + open_time) {
                let _ = backlogs.close(Duration::ZERO);
                return Err(error.into());
            }
            let patience = Patience::new(self.timeout, Instant::now());
            ending = forward(&backlogs, &topics, patience, &stop, progress);
            let time = if ending == Ending::Stopped {
                STOP_TIME
            } else {
                Duration::ZERO
            };
            let (left, result) = backlogs.close(time);
            for backlog in left {
                note(&mut topics, backlog);
            }
            closed = result;
        }
        if json {
            let values = topics.iter().map(|topic| value(topic, ending));
            writeln!(out, "{:#}", values.collect::<Value>())?;
        } else {
            for topic in &topics {
                writeln!(out, "{}", text(topic, ending))?;
            }
        }
        closed?;
        Ok(verdict(&topics))
    }
}

/// Finds the journals, and looks at what each has.
fn find(config: &Config, named: &[Kind]) -> Result<Vec<Drained>, JournalError> {
    let folder = |kind: Kind| config.journal.path.join(kind.topic());
    let mut topics = Vec::new();
    for kind in Kind::ALL {
        let folder = folder(kind);
        let is_wanted = named.is_empty() || named.contains(&kind);
        if !is_wanted {
            continue;
        }
        if !(folder.is_dir() && is_journal(&folder)?) {
            if named.is_empty() {
                continue;
            }
            return Err(JournalError::NoJournal(folder));
        }
        let inspection = iem_journal::inspect(&folder)?;
        if let Some(holder) = inspection.holder {
            return Err(JournalError::Running(holder));
        }
        topics.push(Drained {
            kind,
            folder,
            dead_letters: gateway::dead_letters(config, kind),
            before: inspection.counts,
            bytes: inspection.backlog_bytes,
            after: inspection.counts,
            trouble: None,
        });
    }
    if topics.is_empty() {
        return Err(JournalError::NoJournal(config.journal.path.clone()));
    }
    Ok(topics)
}

/// Waits until nothing is left, or something else ends it.
fn forward(
    backlogs: &Backlogs,
    topics: &[Drained],
    mut patience: Patience,
    stop: &Stop,
    progress: &mut Progress<'_>,
) -> Ending {
    let bytes_total: u64 = topics.iter().map(|topic| topic.bytes).sum();
    let records_total: u64 = topics.iter().map(|topic| topic.before.backlog()).sum();
    let names: Vec<_> = topics.iter().map(|topic| topic.kind.topic()).collect();
    progress.begin(&names.join(", "));
    let ending = loop {
        let now = backlogs.now();
        let left: u64 = now.iter().map(backlog_of).sum();
        let records = records_total.saturating_sub(left);
        if left == 0 {
            break Ending::Done;
        }
        if stop.is_wanted() {
            break Ending::Stopped;
        }
        if let Some(ending) = patience.note(records, true, Instant::now()) {
            break ending;
        }
        let share =
            u128::from(bytes_total) * u128::from(records) / u128::from(records_total.max(1));
        let done = PassProgress {
            bytes: u64::try_from(share).unwrap_or(bytes_total),
            bytes_total,
            records,
        };
        progress.tell_with(done, || now.into_iter().find_map(|backlog| backlog.trouble));
        std::thread::sleep(TICK);
    };
    progress.end();
    ending
}

fn backlog_of(backlog: &Backlog) -> u64 {
    backlog.status.counts.backlog()
}

/// Notes what a topic has left.
fn note(topics: &mut [Drained], backlog: Backlog) {
    if let Some(topic) = topics.iter_mut().find(|topic| topic.kind == backlog.kind) {
        topic.after = backlog.status.counts;
        topic.trouble = backlog.trouble;
    }
}

impl Drained {
    fn delivered(&self) -> u64 {
        self.after.delivered - self.before.delivered
    }

    fn dead_lettered(&self) -> u64 {
        self.after.dead_lettered - self.before.dead_lettered
    }

    fn damaged(&self) -> u64 {
        self.after.damaged - self.before.damaged
    }

    fn left(&self) -> u64 {
        self.after.backlog()
    }
}

fn verdict(topics: &[Drained]) -> Verdict {
    if topics.iter().any(|topic| topic.left() > 0) {
        Verdict::Unfinished
    } else if topics.iter().any(|topic| topic.damaged() > 0) {
        Verdict::Damaged
    } else {
        Verdict::Sound
    }
}

fn value(topic: &Drained, ending: Ending) -> Value {
    json!({
        "topic": topic.kind.topic(),
        "folder": topic.folder,
        "ended": ending.name(),
        "delivered": topic.delivered(),
        "dead_lettered": topic.dead_lettered(),
        "damaged": topic.damaged(),
        "left": topic.left(),
        "trouble": topic.trouble,
    })
}

fn text(topic: &Drained, ending: Ending) -> String {
    let mut parts = vec![format!("{} records delivered", topic.delivered())];
    if topic.dead_lettered() > 0 {
        let (count, folder) = (topic.dead_lettered(), topic.dead_letters.display());
        parts.push(format!("{count} among the dead letters in {folder}"));
    }
    if topic.damaged() > 0 {
        let count = topic.damaged();
        parts.push(format!("{count} lost by damage (`journal verify`)"));
    }
    let trouble = topic.trouble.as_ref();
    let trouble = trouble.map(|trouble| format!(": {trouble}"));
    parts.push(match topic.left() {
        0 => "nothing left".to_owned(),
        left => format!("{left} left; {ending}{}", trouble.unwrap_or_default()),
    });
    format!("{}: {}", topic.kind.topic(), parts.join(", "))
}
