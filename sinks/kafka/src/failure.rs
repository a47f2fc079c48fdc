//! Meaning of librdkafka's error codes: whether trying again may help, and how an operator puts the
//! cause right.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The replicas that survive the loss of one broker while another restarts.
const REPLICAS: usize = 3;

/// The code of a record that librdkafka reports as stored without the offset that a broker gives it.
///
/// When a request is stored, librdkafka takes earlier ones of the partition that have failed for
/// stored, too: a broker refuses a request whose sequence number leaves a gap
/// (`rd_kafka_dr_implicit_ack` in `rdkafka_broker.c`). It does not, if it knows nothing of the
/// producer yet: of a new producer's first requests, one that meets a leader's election may fail, and
/// the next one is stored (<https://github.com/confluentinc/confluent-kafka-go/issues/921>).
pub(crate) const UNCONFIRMED: Code = Code::NoOffset;

/// The kind of a failed record, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The record was not acknowledged in time; it may be stored nevertheless.
    TimedOut,
    /// A connection failed, or could not be made.
    Transport,
    /// The topic has fewer in-sync replicas than it asks for.
    Replicas,
    /// The record is larger than the topic takes.
    TooLarge,
    /// The topic does not exist.
    UnknownTopic,
    /// The brokers refuse the login, or the user may not write the topic.
    Refused,
    /// The producer failed for good, or was replaced.
    Fatal,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind, in the order of the enumeration.
    pub(crate) const ALL: [Self; 8] = [
        Self::TimedOut,
        Self::Transport,
        Self::Replicas,
        Self::TooLarge,
        Self::UnknownTopic,
        Self::Refused,
        Self::Fatal,
        Self::Other,
    ];

    /// Returns the value of the label `kind`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Transport => "transport",
            Self::Replicas => "not_enough_replicas",
            Self::TooLarge => "too_large",
            Self::UnknownTopic => "unknown_topic",
            Self::Refused => "refused",
            Self::Fatal => "producer_replaced",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(code: Code) -> Self {
        match code {
            Code::MessageTimedOut
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue => Self::TimedOut,
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::SSL
            | Code::NetworkException => Self::Transport,
            Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::ISRInsufficient => Self::Replicas,
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
                Self::TooLarge
            }
            Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::UnknownPartition
            | Code::InvalidTopic => Self::UnknownTopic,
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism => Self::Refused,
            Code::Fatal | Code::GaplessGuarantee | Code::PurgeInflight | Code::PurgeQueue => {
                Self::Fatal
            }
            _ => Self::Other,
        }
    }

    /// Tells whether an operator has to change something before a record can be delivered.
    pub(crate) fn is_permanent(self, code: Code) -> bool {
        matches!(self, Self::UnknownTopic | Self::Refused)
            || matches!(
                code,
                Code::PolicyViolation
                    | Code::InvalidRecord
                    | Code::InvalidTimestamp
                    | Code::InvalidRequiredAcks
                    | Code::UnsupportedVersion
                    | Code::UnsupportedForMessageFormat
                    | Code::UnsupportedCompressionType
                    | Code::UnsupportedFeature
            )
    }
}

/// Explains a code to an operator, with the remedy where there is one. `servers` is for the
/// commands.
pub(crate) fn explain(servers: &str, topic: &str, code: Code) -> String {
    match Kind::of(code) {
        Kind::UnknownTopic => missing_topic(servers, topic, REPLICAS),
        // With a cluster-wide code, the user may not write any topic.
        Kind::Refused
            if matches!(
                code,
                Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed
            ) =>
        {
            format!(
                "topic {topic} may not be written by this user; allow it: \
                 kafka-acls.sh --bootstrap-server {servers} --add \
                 --allow-principal User:… --producer --topic {topic}"
            )
        }
        Kind::Replicas => format!(
            "topic {topic} has fewer in-sync replicas than its min.insync.replicas: \
             is a broker down?"
        ),
        Kind::TimedOut => format!("topic {topic} has not acknowledged in time"),
        Kind::Fatal => format!("topic {topic}: the producer had to be replaced"),
        Kind::Other if code == UNCONFIRMED => {
            format!("topic {topic}: no broker has confirmed a record before one that it has stored")
        }
        _ => format!("topic {topic}: {code}"),
    }
}

/// Explains that a topic does not exist, in a cluster of `brokers`.
pub(crate) fn missing_topic(servers: &str, topic: &str, brokers: usize) -> String {
    let replicas = brokers.clamp(1, REPLICAS);
    let in_sync = if replicas == REPLICAS {
        " --config min.insync.replicas=2"
    } else {
        ""
    };
    format!(
        "topic {topic} does not exist; create it: \
         kafka-topics.sh --bootstrap-server {servers} --create --topic {topic} \
         --partitions 6 --replication-factor {replicas}{in_sync}"
    )
}

/// Returns the code within an error of rdkafka's.
pub(crate) fn code(error: &KafkaError) -> Code {
    error.rdkafka_error_code().unwrap_or(Code::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_index() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }
}
