//! Writes log lines to standard error, as text or JSON, and the audit log's to standard error or a
//! file.
//!
//! A thread of its own writes the lines of each, which it receives over a bounded queue. If standard
//! error is not read, lines are lost and counted; a caller that logs never waits.

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;

use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use super::appended_file::AppendedFile;
use super::audit;
use crate::config::{Audit, LogFormat, Logging};

/// Lines that may wait for standard error; more are lost.
const LINES_WAITING: usize = 8192;

/// The threads of the logs. Dropping it writes the lines that wait, for at most a second.
#[must_use = "without it no line is written"]
pub struct Guard {
    _workers: Vec<WorkerGuard>,
}

/// An error of [`init`] or [`init_audit`].
pub type InitError = Box<dyn std::error::Error + Send + Sync>;

/// The levels of the log, which may change while it is written.
#[derive(Clone, Debug)]
pub struct Levels(reload::Handle<Targets, Registry>);

impl Levels {
    /// Has lines written from these levels on.
    ///
    /// # Errors
    /// The level cannot be parsed (that of a loaded configuration can), or the log has ended.
    pub fn set(&self, level: &str) -> Result<(), InitError> {
        self.0.reload(targets(level)?)?;
        Ok(())
    }
}

fn targets(level: &str) -> Result<Targets, InitError> {
    Ok(Targets::from_str(level)?.with_target(audit::TARGET, LevelFilter::OFF))
}

/// Starts the process's logs. Call it once.
///
/// # Errors
/// The process already has a log, the level cannot be parsed (that of a loaded configuration can),
/// or the audit log's file cannot be opened.
pub fn init(logging: &Logging, audit: &Audit) -> Result<(Guard, Levels), InitError> {
    let (writer, worker) = writer_to(io::stderr());
    let (filter, levels) = reload::Layer::new(targets(&logging.level)?);
    let log = layer(logging.format, writer).with_filter(filter);
    let mut workers = vec![worker];
    let audit = match audit_writer(audit)? {
        Some((writer, worker)) => {
            workers.push(worker);
            audit::count_dropped(writer.error_counter());
            Some(audit_layer(writer))
        }
        None => None,
    };
    Registry::default().with(log).with(audit).try_init()?;
    Ok((Guard { _workers: workers }, Levels(levels)))
}

/// Starts the log of a command: warnings and errors, on standard error. On a terminal each clears the
/// line that it begins in, which may be one of progress.
///
/// # Errors
/// The process already has a log.
pub fn init_warnings(format: LogFormat) -> Result<Guard, InitError> {
    let (writer, worker) = if io::stderr().is_terminal() {
        writer_to(ClearedLines(io::stderr()))
    } else {
        writer_to(io::stderr())
    };
    let levels = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target(audit::TARGET, LevelFilter::OFF);
    let log = layer(format, writer).with_filter(levels);
    Registry::default().with(log).try_init()?;
    Ok(Guard {
        _workers: vec![worker],
    })
}

/// Starts the audit log alone, for a command that changes what the gateway reads. On standard error
/// it would be among the command's own messages, so only a file is written to.
///
/// # Errors
/// The process already has a log, or the file cannot be opened.
pub fn init_audit(audit: &Audit) -> Result<Option<Guard>, InitError> {
    if audit.path.as_os_str().is_empty() {
        return Ok(None);
    }
    let Some((writer, worker)) = audit_writer(audit)? else {
        return Ok(None);
    };
    Registry::default().with(audit_layer(writer)).try_init()?;
    Ok(Some(Guard {
        _workers: vec![worker],
    }))
}

/// A terminal whose line is cleared before each write, which is one of whole lines.
struct ClearedLines<W>(W);

impl<W: Write> Write for ClearedLines<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.write_all(b"\r\x1b[K")?;
        self.0.write_all(lines)?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn audit_writer(audit: &Audit) -> io::Result<Option<(NonBlocking, WorkerGuard)>> {
    if !audit.enabled {
        return Ok(None);
    }
    Ok(Some(if audit.path.as_os_str().is_empty() {
        writer_to(io::stderr())
    } else {
        writer_to(AppendedFile::open(&audit.path)?)
    }))
}

fn audit_layer<S>(writer: NonBlocking) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let own = Targets::new().with_target(audit::TARGET, LevelFilter::INFO);
    layer(LogFormat::Json, writer).with_filter(own)
}

fn writer_to(output: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING)
        .thread_name("log")
        .finish(output)
}

fn layer<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use tracing::subscriber::with_default;

    use super::*;

    /// Sends on the bytes that are written.
    struct Output(Sender<Vec<u8>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes a line once a permit comes, as a pipe that is not read does.
    struct Blocked(Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, levels: &str, log: impl FnOnce()) -> String {
        let (sender, lines) = channel();
        let (writer, guard) = writer_to(Output(sender));
        let levels = Targets::from_str(levels).expect("levels");
        with_default(
            Registry::default().with(layer(format, writer).with_filter(levels)),
            log,
        );
        drop(guard);
        let bytes: Vec<u8> =
            std::iter::from_fn(|| lines.recv_timeout(Duration::from_secs(10)).ok())
                .flatten()
                .collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn json_is_one_object_a_line_with_the_request_of_its_span() {
        let text = logged(LogFormat::Json, "info", || {
            let span = tracing::info_span!("request", id = "r-1");
            span.in_scope(|| tracing::info!(status = 200, "first\nline"));
            tracing::info!("second");
        });
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["message"], "first\nline");
        assert_eq!(lines[0]["status"], 200);
        assert_eq!(lines[0]["span"]["id"], "r-1");
        assert_eq!(lines[1]["message"], "second");
    }

    #[test]
    fn text_names_level_and_fields() {
        let text = logged(LogFormat::Text, "info", || {
            tracing::warn!(topic = "events", "sink is down");
        });
        assert!(
            text.contains("WARN") && text.ends_with("sink is down topic=\"events\"\n"),
            "{text}"
        );
    }

    #[test]
    fn levels_apply_by_module() {
        let text = logged(LogFormat::Text, "warn,loud=debug", || {
            tracing::info!("quiet");
            tracing::debug!(target: "loud", "heard");
        });
        assert!(text.contains("heard") && !text.contains("quiet"), "{text}");
    }

    #[test]
    fn an_output_that_blocks_loses_lines_and_blocks_no_caller() {
        let (permits, blocked) = channel();
        let (writer, _guard) = writer_to(Blocked(blocked));
        let lost = writer.error_counter();
        let extra = 100;
        with_default(
            Registry::default().with(layer(LogFormat::Text, writer)),
            || {
                for number in 0..=LINES_WAITING + extra {
                    tracing::info!(number);
                }
            },
        );
        // All were handed over without a permit; at most one is with the output itself.
        assert!(
            (extra..=extra + 1).contains(&lost.dropped_lines()),
            "{}",
            lost.dropped_lines()
        );
        drop(permits);
    }
}
