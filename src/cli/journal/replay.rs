//! `journal replay`: sends the records of files again, dead letters above all, to any sink of the
//! configuration.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use iem_sink_file::RecordFile;

use super::error::JournalError;
use super::folders::topic;
use super::progress::Progress;
use super::verdict::Verdict;
use crate::cli::stop::Stop;
use crate::config::{Config, Durability, SinkKind};
use crate::gateway;
use crate::record::Kind;
use crate::replay::{Ending, Files, Report, Sending};
use crate::sinks;

/// The time that the sink has to close.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Send the records of files again: dead letters, and what the file sink wrote.
///
/// A record goes to the topic of its type, and keeps its id, time, key and attributes. Order is that
/// of the files. Files stay as they are, unless --remove is given. Exit code 0 says that the sink has
/// every record, 1 that it has not. SIGTERM and Ctrl-C end it in order.
#[derive(Clone, Debug, Args)]
pub struct ReplayCommand {
    /// Files of records, plain or compressed, and folders of them
    #[arg(value_name = "PATH", required_unless_present = "dead_letters")]
    paths: Vec<PathBuf>,
    /// The dead letters of this topic; may be given several times
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    dead_letters: Vec<Kind>,
    /// The sink that gets them: file, kafka or pubsub, as the configuration has it
    #[arg(long, value_name = "SINK", value_parser = sink)]
    to: SinkKind,
    /// Records a second at most
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Remove each file once the sink has all of its records; leave out what a gateway still writes
    #[arg(long)]
    remove: bool,
    /// Give up once the sink has taken nothing for so long, such as 60s [default: wait]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

impl ReplayCommand {
    /// Runs the command. Blocks.
    pub(super) fn run(
        self,
        config: &Config,
        json: bool,
        out: &mut dyn Write,
        progress: &mut Progress<'_>,
    ) -> Result<Verdict, JournalError> {
        let stop = Stop::on_signals().map_err(JournalError::System)?;
        // The sink may have the same folder: its files are found before it opens any.
        let found = self.find(config)?;
        let mut config = config.at_sink(self.to)?;
        // A sink gives up no record of a topic that has a journal.
        for topic in &mut config.topics {
            topic.durability = Durability::Journaled;
        }
        let backend = sinks::open_backend(self.to, &config)?;
        let mut report = Report::new(backend.name);
        let files = Files::new(found, self.remove, &mut report);
        let sending = Sending::new(&config, &backend, self.rate, files, report);
        progress.begin(&format!("to {}", backend.name));
        let mut tell = |done, trouble: &dyn Fn() -> Option<String>| {
            progress.tell_with(done, trouble);
        };
        let sent = sending.run(self.timeout, &|| stop.is_wanted(), &mut tell);
        progress.end();
        let (report, _) = sent.map_err(JournalError::System)?;
        let closed = Arc::into_inner(backend).map_or(Ok(()), |backend| {
            backend.sink.close(Instant::now() + CLOSE_TIME)
        });
        if json {
            report.write_json(out)?;
        } else {
            report.write_text(out)?;
        }
        closed?;
        Ok(verdict(&report))
    }

    /// Finds the files, in the order in which they were named.
    fn find(&self, config: &Config) -> Result<Vec<RecordFile>, JournalError> {
        let mut found = Vec::new();
        for path in &self.paths {
            let files = RecordFile::find(path).map_err(JournalError::Records)?;
            if files.is_empty() {
                return Err(JournalError::NoRecords(path.clone()));
            }
            found.extend(files);
        }
        for kind in &self.dead_letters {
            let folder = gateway::dead_letters(config, *kind);
            // A topic that has never had one has no folder.
            if folder.exists() {
                found.extend(RecordFile::find(&folder).map_err(JournalError::Records)?);
            }
        }
        Ok(found)
    }
}

/// Returns whether every record that was to be sent is delivered.
fn verdict(report: &Report) -> Verdict {
    match report.ending {
        Ending::Refused => Verdict::Refused,
        Ending::Done if report.has_sent_all() => Verdict::Sound,
        Ending::Done | Ending::Stopped | Ending::TimedOut(_) => Verdict::Unfinished,
    }
}

fn sink(text: &str) -> Result<SinkKind, String> {
    let kinds = [SinkKind::File, SinkKind::Kafka, SinkKind::PubSub];
    kinds
        .into_iter()
        .find(|kind| sinks::name(*kind) == text)
        .ok_or_else(|| "none of file, kafka and pubsub".to_owned())
}
