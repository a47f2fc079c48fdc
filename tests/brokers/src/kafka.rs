//! A real Apache Kafka broker, or three of them, on loopback.
