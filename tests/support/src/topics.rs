//! The topics of a gateway.

/// The topics, by the names that the configuration has for them.
pub const TOPICS: [&str; 6] = [
    "events",
    "metrics",
    "entities",
    "services",
    "healthchecks",
    "tickets",
];
