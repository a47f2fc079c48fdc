//! Properties of librdkafka: the defaults, then the operator's, then those that the guarantee
//! needs. A property that would break the guarantee is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use iem_sink::SinkError;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use crate::config::KafkaConfig;

/// The most bytes of records in one batch of a partition: below the brokers' default limit
/// (1,048,588), since a batch beyond the topic's limit is refused whole.
pub(crate) const BATCH_BYTES: usize = 990_000;

/// Properties that an operator may not set, each with the reason.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["acks", "request.required.acks"],
        "a record is acknowledged once all in-sync replicas have it: acks=all",
    ),
    (
        &["enable.idempotence"],
        "without idempotence a retry can store a record twice or out of order",
    ),
    (
        &["enable.gapless.guarantee"],
        "one record that fails would stop the producer; the gateway keeps the order by key itself",
    ),
    (
        &["retries", "message.send.max.retries"],
        "retries end with the topic's deadline: set `deadline` of the topic",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "it follows from the topics' `deadline`",
    ),
    (
        &["request.timeout.ms"],
        "it follows from the topics' `deadline`",
    ),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "an idempotent producer has at most 5 requests in flight for a partition, and librdkafka \
         keeps to that; that of a journaled topic has one, for the order",
    ),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "the topic's `queue_records`, `queue_bytes` and batch bound the records that wait",
    ),
    (
        &["queuing.strategy", "msg_order_cmp"],
        "another order than first in, first out would break the order by key",
    ),
    (
        &["delivery.report.only.error"],
        "a record counts as delivered only when its report says so",
    ),
    (
        &["transactional.id", "transaction.timeout.ms"],
        "the gateway acknowledges record by record, not by transaction",
    ),
    (
        &["allow.auto.create.topics"],
        "a topic created by accident has neither the partitions nor the replicas that it needs",
    ),
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "it is `bootstrap_servers`, beside `properties`",
    ),
    (
        &["statistics.interval.ms"],
        "the gateway's metrics need these statistics every 5 seconds",
    ),
    (
        &["message.max.bytes"],
        "it follows from the topics' max.message.bytes",
    ),
    (
        &["enabled_events", "log.queue", "log.thread.name", "opaque"],
        "the gateway and librdkafka use it between themselves",
    ),
    (
        &[
            "test.mock.num.brokers",
            "test.mock.broker.rtt",
            "plugin.library.paths",
        ],
        "records could go elsewhere than to the brokers",
    ),
    (
        &[
            "sasl.oauthbearer.method",
            "enable.sasl.oauthbearer.unsecure.jwt",
        ],
        "a token comes from a file: \"sasl.oauthbearer.token.endpoint.url\" = \"file:///…\"",
    ),
];

/// Parts of the names of properties whose values are secret.
const SECRET: &[&str] = &[
    "password",
    "secret",
    "pem",
    "token",
    "jaas",
    "private",
    "assertion",
];

/// Returns the configuration of a producer whose batches have at most `batch_bytes`.
///
/// # Errors
/// Permanent, and naming the property, where one is refused or unknown, or has a value that
/// librdkafka does not take.
pub(crate) fn client_config(
    config: &KafkaConfig,
    batch_bytes: usize,
) -> Result<ClientConfig, SinkError> {
    let mut client = defaults(config);
    for (name, value) in &config.properties {
        if let Some(reason) = refusal(name, value) {
            return Err(SinkError::permanent(format!(
                "the Kafka property {name} cannot be set: {reason}"
            )));
        }
        if !is_token_file(name, value) {
            client.set(name, value);
        }
    }
    let batch_bytes = client
        .get("batch.size")
        .and_then(|size| size.parse().ok())
        .map_or(batch_bytes, |size: usize| size.min(batch_bytes));
    client.set("batch.size", batch_bytes.to_string());
    set_guarantees(&mut client, config);
    client.set_log_level(RDKafkaLogLevel::Info);
    client
        .create_native_config()
        .map_err(|error| config_error(&error))?;
    Ok(client)
}

/// The time of one request for records that do not time out.
const PATIENT_REQUEST: Duration = Duration::from_secs(10);

/// Returns the properties that an operator may set otherwise.
fn defaults(config: &KafkaConfig) -> ClientConfig {
    let deadline = config.deadline.unwrap_or(PATIENT_REQUEST).as_millis();
    let socket_timeout = deadline.clamp(1000, 60_000).to_string();
    let setup_timeout = deadline.clamp(1000, 5000).to_string();
    let mut client = ClientConfig::new();
    client
        .set("client.id", &config.client_id)
        .set(PARTITIONER, "murmur2_random")
        .set("linger.ms", "0")
        .set("batch.num.messages", "100000")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500")
        .set("socket.timeout.ms", socket_timeout)
        .set("socket.connection.setup.timeout.ms", setup_timeout)
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "30000");
    client
}

/// Sets the properties that the guarantee needs.
fn set_guarantees(client: &mut ClientConfig, config: &KafkaConfig) {
    // 0 stands for no timeout.
    let message_timeout = config.deadline.unwrap_or_default().as_millis();
    let deadline = config.deadline.unwrap_or(PATIENT_REQUEST).as_millis();
    client
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // It counts from the hand-over: a record that times out has passed its deadline, and is not
        // sent again. Its request, which may still be on its way, can break no order.
        .set("message.timeout.ms", message_timeout.to_string())
        .set("request.timeout.ms", deadline.clamp(1, 900_000).to_string())
        // The writer and the broker apply the topics' own limits; this one must not interfere.
        .set("message.max.bytes", "1000000000")
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2147483647")
        .set("allow.auto.create.topics", "false")
        .set("statistics.interval.ms", "5000");
    if config.deadline.is_none() {
        // Nobody answers 503 for a record that later ones of its key have overtaken, as `UNCONFIRMED`
        // ones may be: a request waits until the one before it is stored.
        client.set("max.in.flight", "1");
    }
}

/// Explains why a client could not be created, without any value that may be secret.
pub(crate) fn config_error(error: &KafkaError) -> SinkError {
    SinkError::permanent(match error {
        KafkaError::ClientConfig(_, _, name, _) if is_secret(name) => {
            format!("the Kafka property {name} has a value that librdkafka does not accept")
        }
        KafkaError::ClientConfig(_, description, name, _) => {
            format!("the Kafka property {name}: {}", description.trim())
        }
        KafkaError::ClientCreation(description) => {
            format!("cannot create the Kafka client: {}", description.trim())
        }
        other => format!("cannot create the Kafka client: {other}"),
    })
}

/// Tells whether a record's partition is the remainder of its key's hash
/// ([`key_hash`](iem_sink::Record::key_hash)) by the number of partitions. A key is never empty.
pub(crate) fn partitions_by_key_hash(config: &KafkaConfig) -> bool {
    let partitioner = config.properties.get(PARTITIONER);
    partitioner.is_none_or(|name| matches!(name.as_str(), "murmur2" | "murmur2_random"))
}

/// Tells whether the client compresses batches. A topic's `max.message.bytes` then bounds bytes that
/// nobody knows beforehand.
pub(crate) fn compresses(config: &KafkaConfig) -> bool {
    codecs(&config.properties).any(|codec| codec != "none")
}

/// Returns the codecs that librdkafka's properties name, each of which may be `none`.
pub fn codecs(properties: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let codecs = COMPRESSION.into_iter();
    codecs.filter_map(|name| Some(properties.get(name)?.as_str()))
}

/// Returns the file that access tokens come from, with SASL's OAUTHBEARER mechanism.
pub(crate) fn token_file(config: &KafkaConfig) -> Option<&str> {
    config
        .properties
        .get(TOKEN_ENDPOINT)?
        .strip_prefix("file://")
}

const PARTITIONER: &str = "partitioner";

/// The names of the property that chooses a codec.
const COMPRESSION: [&str; 2] = ["compression.codec", "compression.type"];

const TOKEN_ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

fn is_token_file(name: &str, value: &str) -> bool {
    name == TOKEN_ENDPOINT && value.starts_with("file:///")
}

fn refusal(name: &str, value: &str) -> Option<&'static str> {
    if name == TOKEN_ENDPOINT && !is_token_file(name, value) {
        return Some("tokens are read from a file that another program renews: file:///…");
    }
    if name == PARTITIONER && value == "random" {
        return Some("records of one key would go to any partition and lose their order");
    }
    let harmless = match name {
        "enable.idempotence" => value == "true",
        "acks" | "request.required.acks" => matches!(value, "all" | "-1"),
        _ => false,
    };
    let (_, reason) = REFUSED.iter().find(|(names, _)| names.contains(&name))?;
    (!harmless).then_some(*reason)
}

fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(properties: &[(&str, &str)]) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: "127.0.0.1:9".to_owned(),
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            client_id: "iem-gateway".to_owned(),
            deadline: Some(Duration::from_secs(10)),
            workers: 1,
        }
    }

    fn refused(name: &str, value: &str) -> String {
        let error = client_config(&config(&[(name, value)]), BATCH_BYTES).expect_err(name);
        assert_eq!(error.kind, iem_sink::SinkErrorKind::Permanent);
        assert!(error.message.contains(name), "{error}");
        error.message
    }

    #[test]
    fn a_property_that_breaks_the_guarantee_is_refused_by_name() {
        for (names, reason) in REFUSED {
            for name in *names {
                assert!(refused(name, "1").contains(reason));
            }
        }
        refused("enable.idempotence", "false");
        refused("partitioner", "random");
    }

    #[test]
    fn a_property_with_its_required_value_is_accepted() {
        client_config(
            &config(&[("acks", "all"), ("enable.idempotence", "true")]),
            BATCH_BYTES,
        )
        .unwrap();
    }

    #[test]
    fn a_property_that_librdkafka_does_not_know_is_named() {
        assert!(refused("securty.protocol", "SSL").contains("No such configuration property"));
        assert!(refused("security.protocol", "SASSL").contains("Invalid value"));
    }

    #[test]
    fn accepted_properties_reach_librdkafka() {
        let client = client_config(
            &config(&[
                ("linger.ms", "2"),
                ("batch.size", "2000"),
                ("ssl.ca.location", "/ca.pem"),
            ]),
            5000,
        )
        .unwrap();
        assert_eq!(client.get("linger.ms"), Some("2"));
        assert_eq!(client.get("batch.size"), Some("2000"));
        assert_eq!(client.get("ssl.ca.location"), Some("/ca.pem"));
        assert_eq!(client.get("message.timeout.ms"), Some("10000"));
    }

    #[test]
    fn the_partition_of_a_key_is_known_with_murmur2_only() {
        assert!(partitions_by_key_hash(&config(&[])));
        for (partitioner, is_known) in [
            ("murmur2", true),
            ("murmur2_random", true),
            ("consistent", false),
            ("fnv1a_random", false),
        ] {
            let config = config(&[(PARTITIONER, partitioner)]);
            assert_eq!(partitions_by_key_hash(&config), is_known, "{partitioner}");
        }
    }

    #[test]
    fn a_client_compresses_with_a_codec_only() {
        assert!(!compresses(&config(&[])));
        assert!(!compresses(&config(&[("compression.codec", "none")])));
        assert!(compresses(&config(&[("compression.codec", "gzip")])));
        assert!(compresses(&config(&[("compression.type", "zstd")])));
    }

    #[test]
    fn a_secret_is_in_no_error_and_no_debug_output() {
        let error = config_error(&KafkaError::ClientConfig(
            rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            "Invalid value \"hunter2\"".into(),
            "sasl.password".into(),
            "hunter2".into(),
        ));
        assert!(!error.message.contains("hunter2") && error.message.contains("sasl.password"));
        let debug = format!("{:?}", config(&[("sasl.password", "hunter2")]));
        assert!(!debug.contains("hunter2") && debug.contains("sasl.password"));
    }

    #[test]
    fn oauth_tokens_come_from_a_file() {
        refused(
            "sasl.oauthbearer.token.endpoint.url",
            "https://login.example.com/token",
        );
        let config = config(&[("sasl.oauthbearer.token.endpoint.url", "file:///run/token")]);
        assert_eq!(token_file(&config), Some("/run/token"));
        client_config(&config, BATCH_BYTES).unwrap();
    }
}
