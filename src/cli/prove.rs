//! `prove`: puts load on a running gateway, and proves that no acknowledged record is lost.
//!
//! A password comes from a file, the environment or a prompt, never from an argument, which other
//! users could see.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use zeroize::Zeroizing;

use super::exit::{CONFIGURATION, FAILED, WRONG_USE, fail};
use crate::client::Url;
use crate::config::{Config, SinkKind, Topic};
use crate::prove::{
    self, Credentials, Fault, PASSWORD_VARIABLE, Plan, ProveError, Report, Schedule, Shape,
};
use crate::record::Kind;
use crate::sinks::Source;
use crate::tls;

/// The most requests that may be in flight: as many connections, and as many descriptors.
const IN_FLIGHT_MAX: usize = 20_000;

/// The most bytes of a request's body. A gateway's own limit may be lower.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Descriptors needed beside those of connections.
const DESCRIPTORS_BESIDE: u64 = 64;

/// The arguments of `prove`.
///
/// Requests are sent at a constant rate, whether those before are answered or not. Each 200 is
/// remembered in a synced file. Then the sink that the configuration names is read, and what is
/// acknowledged and not there is lost. Exit code 0 says that nothing is lost, 1 that something is
/// or that it could not be found out.
#[derive(Debug, Args)]
pub(super) struct ProveCommand {
    #[arg(
        help = "The gateway, such as https://gateway.example:8443",
        long,
        value_name = "URL",
        required_unless_present = "only_read"
    )]
    url: Option<Url>,
    /// Requests a second
    #[arg(long, value_name = "N", required_unless_present = "only_read",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// The time for which requests are sent, such as 60s
    #[arg(long, value_name = "TIME", required_unless_present = "only_read",
        value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// The customer of the records
    #[arg(long, value_name = "ID", required_unless_present = "only_read")]
    customer: Option<String>,
    #[arg(
        help = "The user that sends; its password comes from --password-file, the variable \
                IEM_GATEWAY_PASSWORD or a prompt",
        long, value_name = "EMAIL", conflicts_with = "token_file",
        required_unless_present_any = ["token_file", "only_read"],
    )]
    user: Option<String>,
    /// A file whose first line is the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// A file with an access token, in place of a user; read again every second
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates, PEM, that the gateway's is verified with [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send password, token and records in the clear to another machine
    #[arg(long)]
    plaintext: bool,
    /// The kind of the records, and so their topic: event, metric, entity, service or healthcheck
    /// [default: event]
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// Records of a request; more than one go as NDJSON
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    records: u32,
    /// Bytes of padding of a record
    #[arg(long, value_name = "N", default_value_t = 200)]
    bytes: u32,
    /// Ordering keys that are used in turn; more are used when all of them have a request in flight
    #[arg(long, value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: u32,
    /// Requests, and so connections, that may be in flight; what is due beyond that is not sent,
    /// and counted
    #[arg(long, value_name = "N", default_value_t = 1024)]
    in_flight: usize,
    /// The time after which a request counts as not answered
    #[arg(long, value_name = "TIME", default_value = "15s",
        value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// A time and a command that a shell runs then, such as
    /// '10s systemctl kill -s KILL iem-gateway'; may be given several times
    #[arg(long = "faults", value_name = "AT COMMAND")]
    faults: Vec<Fault>,
    /// The file that remembers what was acknowledged [default: prove-RUN.acknowledged]
    #[arg(long, value_name = "FILE", required_if_eq("only_read", "true"))]
    acknowledged: Option<PathBuf>,
    /// The Pub/Sub subscription to read; it must hold what was published since the begin, and
    /// everything in it is acknowledged
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
    /// The time without a new record after which those that are missing count as lost
    #[arg(long, value_name = "TIME", default_value = "60s",
        value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Send nothing: read the sink for the records that an earlier run's --acknowledged file names
    #[arg(long, conflicts_with_all = ["url", "rate", "duration", "customer", "user", "token_file",
        "kind", "faults"])]
    only_read: bool,
}

/// The reason why a command did not begin, with its exit code.
struct Refusal(u8, String);

impl ProveCommand {
    /// Runs the command, and prints the report.
    pub(super) fn run(self, config: &Config, json: bool) -> ExitCode {
        match self.report(config) {
            Ok(report) => print(&report, json),
            Err(Refusal(code, message)) => fail(code, &message),
        }
    }

    fn report(self, config: &Config) -> Result<Report, Refusal> {
        if self.only_read {
            let file = self.acknowledged.unwrap_or_default();
            let name = prove::kind_of(&file).map_err(Refusal::failed)?;
            let kind = kind(&name).map_err(|error| Refusal(FAILED, format!("{name}: {error}")))?;
            let topic = &config.topics[kind as usize];
            let source = source(config, topic, self.subscription.as_deref())?;
            return prove::only_read(file, source, self.wait).map_err(Refusal::failed);
        }
        let kind = self.kind.unwrap_or(Kind::Event);
        let topic = &config.topics[kind as usize];
        let source = source(config, topic, self.subscription.as_deref())?;
        let (plan, descriptors) = self.plan(kind, topic)?;
        // If the limit is too low, connections fail, and are counted as failed.
        let _ = rlimit::increase_nofile_limit(descriptors);
        prove::run(plan, source).map_err(Refusal::failed)
    }

    /// Checks the arguments together. Returns the plan, and how many descriptors it needs.
    fn plan(self, kind: Kind, topic: &Topic) -> Result<(Plan, u64), Refusal> {
        let given = (
            self.url.clone(),
            self.rate,
            self.duration,
            self.customer.clone(),
        );
        let (Some(url), Some(rate), Some(duration), Some(customer)) = given else {
            return Err(Refusal::wrong_use(
                "a run needs --url, --rate, --duration, --customer",
            ));
        };
        let schedule = Schedule::new(rate, duration);
        self.check(&url, schedule, duration)?;
        let tls = if url.https {
            let config = tls::client_config(self.ca.as_deref());
            let config = config.map_err(|error| Refusal(FAILED, format!("--ca: {error}")))?;
            Some(config)
        } else {
            None
        };
        let path = kind.paths().first().copied().unwrap_or_default();
        let shape = Shape {
            schedule,
            in_flight_max: self.in_flight,
            keys: self.keys as usize,
            records: self.records,
            path: format!("{path}/"),
            timeout: self.timeout,
        };
        let key_field = topic.key.first().filter(|field| !is_customer(field));
        let descriptors = self.in_flight as u64 + DESCRIPTORS_BESIDE;
        let plan = Plan {
            url,
            tls,
            credentials: credentials(self.user, self.password_file.as_deref(), self.token_file)?,
            customer,
            kind: kind_name(kind).to_owned(),
            key_field: key_field.cloned(),
            padding_bytes: self.bytes as usize,
            shape,
            faults: self.faults,
            file: self.acknowledged,
            wait: self.wait,
        };
        Ok((plan, descriptors))
    }

    /// Checks what the arguments' types leave open.
    fn check(&self, url: &Url, schedule: Schedule, duration: Duration) -> Result<(), Refusal> {
        if !url.https && !url.is_loopback() && !self.plaintext {
            return Err(Refusal::wrong_use(format!(
                "--url {url} would send the password in the clear: use https, or say --plaintext"
            )));
        }
        if !(1..=IN_FLIGHT_MAX).contains(&self.in_flight) {
            let message = format!("--in-flight is 1 to {IN_FLIGHT_MAX}");
            return Err(Refusal::wrong_use(message));
        }
        if schedule.requests().saturating_mul(u64::from(self.records)) >= u64::from(u32::MAX) {
            return Err(Refusal::wrong_use(
                "a run has fewer than 4,294,967,295 records: lower --rate, --duration or --records",
            ));
        }
        if u64::from(self.bytes) * u64::from(self.records) > BODY_BYTES_MAX {
            return Err(Refusal::wrong_use(
                "a request's body would have over 64 MiB: lower --records or --bytes",
            ));
        }
        if let Some(late) = self.faults.iter().find(|fault| fault.at >= duration) {
            return Err(Refusal::wrong_use(format!(
                "a fault comes after the end of --duration: {}",
                late.command
            )));
        }
        Ok(())
    }
}

impl Refusal {
    fn wrong_use(message: impl Into<String>) -> Self {
        Self(WRONG_USE, message.into())
    }

    #[expect(clippy::needless_pass_by_value, reason = "it maps an error")]
    fn failed(error: ProveError) -> Self {
        Self(FAILED, error.to_string())
    }
}

fn print(report: &Report, json: bool) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = if json {
        report.write_json(&mut out)
    } else {
        report.write_text(&mut out)
    };
    match written {
        Ok(()) if report.is_proven() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(FAILED),
        Err(error) => fail(FAILED, &format_args!("cannot write the result: {error}")),
    }
}

fn source(config: &Config, topic: &Topic, subscription: Option<&str>) -> Result<Source, Refusal> {
    let subscription = match (topic.sink, subscription) {
        (SinkKind::PubSub, Some(name)) => name,
        (SinkKind::PubSub, None) => {
            let name = &topic.name;
            return Err(Refusal::wrong_use(format!(
                "topic {name} is in Pub/Sub, which is read by a subscription: \
                 name one of this topic with --subscription"
            )));
        }
        (SinkKind::File | SinkKind::Kafka, None) => "",
        (SinkKind::File | SinkKind::Kafka, Some(_)) => {
            return Err(Refusal::wrong_use(
                "--subscription is for a topic in Pub/Sub; the configuration names another sink",
            ));
        }
    };
    Source::new(config, topic, subscription)
        .map_err(|error| Refusal(CONFIGURATION, error.to_string()))
}

/// Returns the credentials. The password comes from the file, the environment or a prompt.
fn credentials(
    user: Option<String>,
    password_file: Option<&Path>,
    token_file: Option<PathBuf>,
) -> Result<Credentials, Refusal> {
    let user = match (user, token_file) {
        (Some(user), _) => user,
        (None, Some(path)) => return Ok(Credentials::TokenFile(path)),
        (None, None) => {
            return Err(Refusal::wrong_use("a run needs --user or --token-file"));
        }
    };
    let password = match (password_file, std::env::var(PASSWORD_VARIABLE)) {
        (Some(path), _) => read_password(path)?,
        (None, Ok(password)) => Zeroizing::new(password),
        (None, Err(_)) if io::stdin().is_terminal() => {
            let typed = rpassword::prompt_password(format!("Password of {user}: "));
            let typed = typed
                .map_err(|error| Refusal(FAILED, format!("cannot ask for a password: {error}")))?;
            Zeroizing::new(typed)
        }
        (None, Err(_)) => {
            return Err(Refusal::wrong_use(format!(
                "no password: there is no terminal to ask at, so set {PASSWORD_VARIABLE} or name \
                 a --password-file"
            )));
        }
    };
    Ok(Credentials::Password { user, password })
}

/// Reads the first line of a file.
fn read_password(path: &Path) -> Result<Zeroizing<String>, Refusal> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Refusal(FAILED, format!("{}: {error}", path.display())))?;
    let text = Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

/// Returns the kind's name: the last part of its CloudEvents type.
fn kind_name(kind: Kind) -> &'static str {
    let name = kind.event_type();
    name.strip_prefix("iem.").unwrap_or(name)
}

fn kind(text: &str) -> Result<Kind, String> {
    let mut kinds = Kind::ALL
        .into_iter()
        .filter(|kind| !kind.paths().is_empty());
    kinds
        .find(|kind| kind_name(*kind) == text)
        .ok_or_else(|| "none of event, metric, entity, service and healthcheck".to_owned())
}

/// Returns whether a field is the customer's, which a record has in any case.
fn is_customer(field: &str) -> bool {
    matches!(field, "envcustomerid" | "envcustomer_id")
}
