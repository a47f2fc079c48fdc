//! What must hold of values that are each of the right type. The limits are those that
//! `defaults.toml` states.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{ClientCertificates, Config, Logging, SinkKind, TOPICS, Topic};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const TIB: usize = 1 << 40;
/// Far from the 65,534 bytes beyond which the HTTP library refuses by itself, in fewer words.
const URI_MAX: usize = 32 * KIB;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
/// Clients give up on an answer after 15 s; the confirmation must leave time to answer.
const DEADLINE_END: Duration = Duration::from_secs(14);
/// Clients keep idle connections for 5 minutes, and lose a request that meets a closing one.
const CLIENT_IDLE: Duration = Duration::from_mins(5);

/// Every rule that `config` breaks, as key and message.
pub(super) fn broken(config: &Config) -> Vec<(String, String)> {
    let mut faults = Faults(Vec::new());
    server(config, &mut faults);
    transport(config, &mut faults);
    listeners(config, &mut faults);
    tokens_and_login(config, &mut faults);
    logging(&config.logging, &mut faults);
    faults.count(
        "metrics.customer_series",
        config.metrics.customer_series,
        0..=100_000,
    );
    paths(config, &mut faults);
    faults.size(
        "sink.file.rotate_size",
        config.sink.file.rotate_size,
        4 * KIB..=TIB,
    );
    faults.duration(
        "sink.file.rotate_age",
        config.sink.file.rotate_age,
        SECOND..=30 * DAY,
    );
    for (table, topic) in TOPICS.iter().zip(&config.topics) {
        topic_bounds(&format!("topics.{table}"), topic, config, &mut faults);
    }
    names_distinct(config, &mut faults);
    sinks(config, &mut faults);
    memory(config, &mut faults);
    faults.0
}

fn server(config: &Config, faults: &mut Faults) {
    let server = &config.server;
    let uri = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    faults.require(
        (1..=255).contains(&server.name.len()) && server.name.chars().all(uri),
        "server.name",
        "must be a URI reference (RFC 3986) of 1 to 255 characters",
    );
    faults.count("server.threads", server.threads, 1..=1024);
    faults.count(
        "server.max_connections",
        server.max_connections,
        1..=1_000_000,
    );
    faults.count(
        "server.max_connections_per_peer",
        server.max_connections_per_peer,
        1..=1_000_000,
    );
    faults.require(
        !server.proxy_protocol || !server.proxies.is_empty(),
        "server.proxy_protocol",
        "needs server.proxies: from others nothing of the kind is taken",
    );
    faults.size("server.max_header", server.max_header, 8 * KIB..=MIB);
    faults.count("server.max_headers", server.max_headers, 10..=1000);
    faults.size(
        "server.max_uri",
        server.max_uri,
        KIB..=server.max_header.clamp(8 * KIB, URI_MAX),
    );
    faults.size("server.max_body", server.max_body, KIB..=GIB);
    faults.size("server.memory", server.memory, MIB..=TIB);
    faults.duration(
        "server.header_timeout",
        server.header_timeout,
        SECOND..=MINUTE,
    );
    faults.duration("server.body_timeout", server.body_timeout, SECOND..=MINUTE);
    faults.size("server.body_rate", server.body_rate, 0..=GIB);
    request_timeout(config, faults);
    faults.duration(
        "server.write_timeout",
        server.write_timeout,
        SECOND..=10 * MINUTE,
    );
    faults.require(
        server.idle_timeout > CLIENT_IDLE && server.idle_timeout <= DAY,
        "server.idle_timeout",
        "must be more than 5m, for which clients keep idle connections, and at most 24h",
    );
    faults.duration("server.drain", server.drain, SECOND..=10 * MINUTE);
}

/// All that a request waits for by itself must find room in its time.
fn request_timeout(config: &Config, faults: &mut Faults) {
    let server = &config.server;
    let deadlines = config.topics.iter().map(|topic| topic.deadline);
    let deadline = deadlines.max().unwrap_or_default().min(DEADLINE_END);
    let head_and_body = server.header_timeout.min(MINUTE) + server.body_timeout.min(MINUTE);
    let answered = head_and_body + server.readers_patience() + deadline;
    faults.require(
        server.request_timeout > answered && server.request_timeout <= 10 * MINUTE,
        "server.request_timeout",
        format!(
            "must be more than {}, header_timeout, body_timeout, the longest deadline of a topic and {}, and at most 10m",
            duration(answered),
            duration(server.readers_patience()),
        ),
    );
}

fn transport(config: &Config, faults: &mut Faults) {
    let (tls, http2) = (&config.server.tls, &config.server.http2);
    let key = !tls.key.as_os_str().is_empty();
    faults.require(
        key || !tls.is_on(),
        "server.tls.certificate",
        "needs server.tls.key",
    );
    faults.require(
        tls.is_on() || !key,
        "server.tls.key",
        "needs server.tls.certificate",
    );
    let client_ca = !tls.client_ca.as_os_str().is_empty();
    faults.require(
        tls.is_on() || !client_ca,
        "server.tls.client_ca",
        "needs server.tls.certificate",
    );
    let required = tls.client_certificates == ClientCertificates::Required;
    faults.require(
        client_ca || !required,
        "server.tls.client_certificates",
        "needs server.tls.client_ca",
    );
    faults.require(
        client_ca || tls.users.is_empty(),
        "server.tls.users",
        "needs server.tls.client_ca",
    );

    faults.count(
        "server.http2.max_connections",
        http2.max_connections,
        1..=1_000_000,
    );
    faults.count("server.http2.max_streams", http2.max_streams, 1..=1000);
    let streams = http2.max_streams.min(1000);
    faults.count(
        "server.http2.max_requests",
        http2.max_requests,
        streams..=1_000_000,
    );
    faults.size(
        "server.http2.stream_window",
        http2.stream_window,
        64 * KIB..=16 * MIB,
    );
    let window = http2.stream_window.clamp(64 * KIB, 16 * MIB);
    faults.size(
        "server.http2.connection_window",
        http2.connection_window,
        window..=64 * MIB,
    );
    faults.count(
        "server.http2.max_pending_resets",
        http2.max_pending_resets,
        1..=1000,
    );
    faults.count(
        "server.http2.max_error_resets",
        http2.max_error_resets,
        1..=10_000,
    );
}

fn listeners(config: &Config, faults: &mut Faults) {
    let (server, admin) = (config.server.listen, config.admin.listen);
    faults.require(
        server.ip().is_loopback() || config.server.plaintext || config.server.tls.is_on(),
        "server.listen",
        format!(
            "{server} is not a loopback address: name a certificate and its key in server.tls, or set \
             server.plaintext = true if plain HTTP is wanted there"
        ),
    );
    faults.require(
        admin.ip().is_loopback() || config.admin.plaintext,
        "admin.listen",
        format!(
            "{admin} is not a loopback address: set admin.plaintext = true if plain HTTP is wanted there"
        ),
    );
    faults.require(
        !collide(server, admin),
        "admin.listen",
        format!("{admin} collides with server.listen, {server}"),
    );
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

fn tokens_and_login(config: &Config, faults: &mut Faults) {
    let tokens = &config.tokens;
    faults.duration(
        "tokens.access_lifetime",
        tokens.access_lifetime,
        SECOND..=DAY,
    );
    faults.duration(
        "tokens.refresh_lifetime",
        tokens.refresh_lifetime,
        tokens.access_lifetime..=90 * DAY,
    );
    faults.count("tokens.cache_entries", tokens.cache_entries, 1..=1_000_000);
    let login = &config.login;
    let quota = &config.quota;
    faults.count("quota.records", quota.records, 0..=u32::MAX as usize);
    faults.size("quota.bytes", quota.bytes, 0..=u32::MAX as usize);
    faults.count(
        "login.failures_per_user",
        login.failures_per_user,
        1..=1_000_000,
    );
    faults.count(
        "login.failures_per_peer",
        login.failures_per_peer,
        login.failures_per_user..=1_000_000,
    );
}

/// `Targets` takes any word for a module's name, and would so take a level's misspelling for a
/// module to trace.
fn logging(logging: &Logging, faults: &mut Faults) {
    let directive = |text: &str| {
        let level = text.split_once('=').map_or(text, |(_, level)| level);
        !level.is_empty() && LevelFilter::from_str(level).is_ok()
    };
    faults.require(
        logging.level.split(',').all(directive) && Targets::from_str(&logging.level).is_ok(),
        "logging.level",
        "must be off, error, warn, info, debug or trace, or several with modules: \"info,some::module=debug\"",
    );
}

fn paths(config: &Config, faults: &mut Faults) {
    let paths = [
        ("directory.path", &config.directory.path),
        ("tokens.key_file", &config.tokens.key_file),
        ("sink.file.path", &config.sink.file.path),
    ];
    for (key, path) in paths {
        faults.require(!path.as_os_str().is_empty(), key, "must not be empty");
    }
}

/// What a sink cannot do without, if a topic uses it.
fn sinks(config: &Config, faults: &mut Faults) {
    let used = |kind| config.topics.iter().any(|topic| topic.sink == kind);
    faults.require(
        !used(SinkKind::Kafka) || !config.sink.kafka.bootstrap_servers.is_empty(),
        "sink.kafka.bootstrap_servers",
        "must name a broker, such as \"broker-1:9092\"",
    );
    faults.require(
        !used(SinkKind::PubSub) || !config.sink.pubsub.project.is_empty(),
        "sink.pubsub.project",
        "must name a Google Cloud project",
    );
}

fn topic_bounds(table: &str, topic: &Topic, config: &Config, faults: &mut Faults) {
    let key = |name: &str| format!("{table}.{name}");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    faults.require(
        (1..=249).contains(&topic.name.len())
            && topic.name.chars().all(plain)
            && !matches!(&*topic.name, "." | ".."),
        &key("name"),
        "must be 1 to 249 letters, digits, `.`, `_` and `-`, and neither `.` nor `..`",
    );
    faults.require(
        topic.key.iter().all(|field| !field.is_empty()),
        &key("key"),
        "must not list an empty field",
    );
    faults.count(&key("queue_records"), topic.queue_records, 1..=10_000_000);
    faults.size(
        &key("queue_bytes"),
        topic.queue_bytes,
        config.server.max_body..=TIB,
    );
    faults.count(
        &key("batch_records"),
        topic.batch_records,
        1..=topic.queue_records.max(1),
    );
    faults.size(
        &key("batch_bytes"),
        topic.batch_bytes,
        KIB..=topic.queue_bytes.max(KIB),
    );
    faults.duration(&key("linger"), topic.linger, Duration::ZERO..=SECOND);
    faults.require(
        topic.linger < topic.deadline,
        &key("linger"),
        "must be less than the topic's deadline",
    );
    faults.require(
        topic.deadline >= Duration::from_millis(10) && topic.deadline < DEADLINE_END,
        &key("deadline"),
        "must be at least 10ms and less than 14s: clients give up after 15s",
    );
    faults.count(&key("workers"), topic.workers, 1..=64);
}

/// Two topics in one place could not be told apart by who reads them, and their writers would meet
/// in one file.
fn names_distinct(config: &Config, faults: &mut Faults) {
    for (later, topic) in config.topics.iter().enumerate() {
        let same = |other: &&Topic| other.sink == topic.sink && other.name == topic.name;
        faults.require(
            !config.topics[..later].iter().any(|other| same(&other)),
            &format!("topics.{}.name", TOPICS[later]),
            format!(
                "`{}` is the name of another topic of the same sink",
                topic.name
            ),
        );
    }
}

/// Topics that all stand still must leave room for a body, or one of them could keep the others
/// from any.
fn memory(config: &Config, faults: &mut Faults) {
    let queues = config.topics.iter().map(|topic| topic.queue_bytes);
    let needed = queues.fold(config.server.max_body, usize::saturating_add);
    faults.require(
        config.server.memory >= needed,
        "server.memory",
        format!(
            "is {}, but full queues and one body more need {}: the queue_bytes of all topics, and server.max_body",
            size(config.server.memory),
            size(needed),
        ),
    );
}

struct Faults(Vec<(String, String)>);

impl Faults {
    fn require(&mut self, holds: bool, key: &str, message: impl Into<String>) {
        if !holds {
            self.0.push((key.to_owned(), message.into()));
        }
    }

    fn count(&mut self, key: &str, value: usize, limits: RangeInclusive<usize>) {
        self.within(key, value, limits, |count| count);
    }

    fn size(&mut self, key: &str, value: usize, limits: RangeInclusive<usize>) {
        self.within(key, value, limits, size);
    }

    fn duration(&mut self, key: &str, value: Duration, limits: RangeInclusive<Duration>) {
        self.within(key, value, limits, duration);
    }

    fn within<T: Copy + PartialOrd, D: Display>(
        &mut self,
        key: &str,
        value: T,
        limits: RangeInclusive<T>,
        show: fn(T) -> D,
    ) {
        let (min, max) = (show(*limits.start()), show(*limits.end()));
        self.require(
            limits.contains(&value),
            key,
            format!("must be {min} to {max}, is {}", show(value)),
        );
    }
}

/// In the largest unit that gives a whole number, so that nothing is rounded.
fn size(bytes: usize) -> String {
    let units = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];
    let whole = units
        .into_iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(("B", 1));
    format!("{} {name}", bytes / unit)
}

fn duration(duration: Duration) -> String {
    let seconds_a_day = DAY.as_secs();
    if duration >= DAY && duration.as_secs().is_multiple_of(seconds_a_day) {
        return format!("{}d", duration.as_secs() / seconds_a_day);
    }
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests;
