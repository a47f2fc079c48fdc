//! Records to Apache Kafka, acknowledged by all in-sync replicas.
