//! What librdkafka's error codes mean to the gateway: may it pass by itself, and what should
//! somebody do.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// As many as survive the loss of one broker while another is being restarted.
const REPLICAS: usize = 3;

/// The kinds by which errors are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not acknowledged in time; the record may be stored all the same.
    TimedOut,
    /// A connection that failed, or could not be made.
    Transport,
    /// Fewer in-sync replicas than the topic asks for.
    Replicas,
    /// Larger than the topic takes.
    TooLarge,
    /// The topic is not there.
    UnknownTopic,
    /// The login was refused, or may not write the topic.
    Refused,
    /// The producer could not go on, or had to make way for another one.
    Fatal,
    /// Anything else.
    Other,
}

impl Kind {
    pub(crate) const COUNT: usize = Self::Other as usize + 1;

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

    /// Whether somebody has to change something before a record can be delivered.
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

/// What to say of a code, with the way out where there is one. `servers` are for the commands.
pub(crate) fn explain(servers: &str, topic: &str, code: Code) -> String {
    match Kind::of(code) {
        Kind::UnknownTopic => missing_topic(servers, topic, REPLICAS),
        // The latter: this user may write no topic at all.
        Kind::Refused
            if matches!(
                code,
                Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed
            ) =>
        {
            format!(
                "topic {topic} may not be written by this user; allow it: kafka-acls.sh --bootstrap-server {servers} --add \
                 --allow-principal User:… --producer --topic {topic}"
            )
        }
        Kind::Replicas => {
            format!(
                "topic {topic} has fewer in-sync replicas than its min.insync.replicas: is a broker down?"
            )
        }
        Kind::TimedOut => format!("topic {topic} has not acknowledged in time"),
        Kind::Fatal => format!("topic {topic}: the producer had to be made anew"),
        _ => format!("topic {topic}: {code}"),
    }
}

/// What to say of a topic that is not there, in a cluster of `brokers`.
pub(crate) fn missing_topic(servers: &str, topic: &str, brokers: usize) -> String {
    let replicas = brokers.clamp(1, REPLICAS);
    let in_sync = if replicas == REPLICAS {
        " --config min.insync.replicas=2"
    } else {
        ""
    };
    format!(
        "topic {topic} does not exist; make it: kafka-topics.sh --bootstrap-server {servers} --create --topic {topic} \
         --partitions 6 --replication-factor {replicas}{in_sync}"
    )
}

/// The code within an error of rdkafka's.
pub(crate) fn code(error: &KafkaError) -> Code {
    error.rdkafka_error_code().unwrap_or(Code::Fail)
}
