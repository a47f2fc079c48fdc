//! A proof that a gateway loses no acknowledged record: a load that remembers each answer of 200,
//! and a reading of the sink that looks for it.
//!
//! ```text
//!  schedule ─ pace ─ load ─ client ─── gateway ─── sink
//!                     │                              │
//!               acknowledged ── oracle ── reading ───┘
//!                                 │
//!                               report
//! ```
//!
//! It is a client of the gateway like any other, and knows nothing of how it works. What it cannot
//! find out is an error, never a success. Only what is in the synced file of acknowledged records
//! counts, so the reading can also be made alone, after the machine has died.

mod acknowledged;
mod error;
mod fault;
mod keys;
mod latency;
mod load;
mod mark;
mod oracle;
mod pace;
mod progress;
mod reading;
mod report;
mod schedule;
mod session;
mod tally;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::rustls::ClientConfig;

use crate::client::{Client, Url};
use crate::sinks::Source;
use acknowledged::{Appender, Entry, Header};
use fault::Faults;
use mark::{MarkFinder, Template};
use oracle::{Oracle, Verdict};
use progress::Progress;
use report::LoadReport;
use session::Session;

pub use error::ProveError;
pub use fault::{Fault, PASSWORD_VARIABLE};
pub use load::Shape;
pub use report::Report;
pub use schedule::Schedule;
pub use session::Credentials;

/// The time that the backend has to say where its topic ends.
const POSITION_TIME: Duration = Duration::from_secs(10);

/// Files of the file sink that were last changed so long before the run are not read. The clocks of
/// two machines may differ by less.
const CLOCKS_DIFFER: Duration = Duration::from_hours(1);

/// A run to make.
pub struct Plan {
    /// The gateway.
    pub url: Url,
    /// TLS, for `https`.
    pub tls: Option<ClientConfig>,
    /// The credentials.
    pub credentials: Credentials,
    /// The customer that the records belong to.
    pub customer: String,
    /// The kind of the records, such as `event`.
    pub kind: String,
    /// The field that gives a record its ordering key, if one does.
    pub key_field: Option<String>,
    /// The bytes of padding of a record.
    pub padding_bytes: usize,
    /// The shape of the load.
    pub shape: Shape,
    /// The faults.
    pub faults: Vec<Fault>,
    /// The file of acknowledged records; by default one with the run's id in the working directory.
    pub file: Option<PathBuf>,
    /// The time without a new record after which those that are missing count as lost.
    pub wait: Duration,
}

/// Sends the load, and reads the sink.
///
/// # Errors
/// The run could not begin. What happens later is in the report.
pub fn run(plan: Plan, source: Source) -> Result<Report, ProveError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = format!("{:016x}", rand::random::<u64>());
    let client = Arc::new(Client::new(plan.url, plan.tls));
    let session = runtime.block_on(Session::begin(Arc::clone(&client), plan.credentials))?;
    let now = SystemTime::now();
    let mut header = Header::new(run.clone(), plan.kind, source.describe(), now);
    header.keys = u32::try_from(plan.shape.keys_max()).unwrap_or(u32::MAX);
    header.records = u32::try_from(plan.shape.records_max()).unwrap_or(u32::MAX);
    header.offsets = source.position(Instant::now() + POSITION_TIME)?;
    let path = plan
        .file
        .unwrap_or_else(|| PathBuf::from(format!("prove-{run}.acknowledged")));
    let appender = Appender::create(&path, &header)?;
    let template = Template::new(
        &run,
        &plan.customer,
        plan.key_field.as_deref(),
        plan.padding_bytes,
    );
    let begin = Instant::now();
    let progress = Progress::new(begin);
    progress.say(&format!(
        "run {run} to {}; acknowledged records in {}",
        client.url(),
        path.display()
    ));
    let say = progress.clone();
    let faults = Faults::start(&plan.faults, begin, move |line| say.say(line));
    let records_a_request = plan.shape.records;
    let outcome = runtime.block_on(load::run(
        plan.shape,
        template,
        client,
        session,
        appender.recorder(),
        begin,
        &progress,
    ))?;
    let remembered = appender.finish();
    let verdict = match remembered {
        Ok(()) => judge(&path, source, plan.wait, &progress).map(|(_, verdict)| verdict),
        Err(error) => Err(error.into()),
    };
    Ok(Report {
        run,
        file: path,
        load: Some(LoadReport {
            records_a_request,
            faults: faults.courses(),
            outcome,
        }),
        verdict,
    })
}

/// Returns the kind of the records of an earlier run, such as `event`.
///
/// # Errors
/// The file cannot be read, or is none of acknowledged records.
pub fn kind_of(path: &Path) -> Result<String, ProveError> {
    Ok(acknowledged::read_header(path)?.kind)
}

/// Reads the sink for the records of an earlier run.
///
/// # Errors
/// There is no verdict.
pub fn only_read(path: PathBuf, source: Source, wait: Duration) -> Result<Report, ProveError> {
    let progress = Progress::new(Instant::now());
    let (run, verdict) = judge(&path, source, wait, &progress)?;
    Ok(Report {
        run,
        file: path,
        load: None,
        verdict: Ok(verdict),
    })
}

/// Compares what a file says was acknowledged with what the sink holds. Returns the run's id and
/// the verdict.
fn judge(
    path: &Path,
    source: Source,
    wait: Duration,
    progress: &Progress,
) -> Result<(String, Verdict), ProveError> {
    let (header, mut oracle) = load_file(path, &source)?;
    if oracle.acknowledged() == 0 {
        return Ok((header.run, oracle.verdict()));
    }
    let since = header.begin().checked_sub(CLOCKS_DIFFER);
    let since = since.unwrap_or(SystemTime::UNIX_EPOCH);
    let gives_out_once = source.gives_out_once();
    let deadline = Instant::now() + POSITION_TIME;
    let mut reader = source.begin(&header.offsets, since, deadline)?;
    if gives_out_once {
        acknowledged::append_reading(path)?;
    }
    let finder = MarkFinder::new(&header.run);
    let verdict = reading::read_back(&mut *reader, &mut oracle, &finder, wait, progress)?;
    Ok((header.run, verdict))
}

/// Reads the file of acknowledged records, and checks that the source has them.
fn load_file(path: &Path, source: &Source) -> Result<(Header, Oracle), ProveError> {
    let mut oracle: Option<Oracle> = None;
    let mut is_beyond = false;
    let mut was_read = false;
    let header = acknowledged::read(path, |header, entry| match entry {
        Entry::Acknowledged(batch) => {
            let oracle = oracle.get_or_insert_with(|| Oracle::new(header.limits()));
            is_beyond |= !oracle.acknowledge(&batch);
        }
        Entry::Read => was_read = true,
    })?;
    if is_beyond {
        return Err(ProveError::Beyond);
    }
    let configured = source.describe();
    if header.topic != configured {
        return Err(ProveError::OtherTopic {
            of_file: header.topic,
            configured,
        });
    }
    if was_read && source.gives_out_once() {
        return Err(ProveError::AlreadyRead);
    }
    Ok((header, oracle.unwrap_or_default()))
}
