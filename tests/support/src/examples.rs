//! The example records in `tests/data/examples/`, one of each kind.

/// Returns the example record with this name, such as `event`, or `None`.
pub fn example(name: &str) -> Option<&'static str> {
    Some(match name {
        "event" => include_str!("../../data/examples/event.json"),
        "metric" => include_str!("../../data/examples/metric.json"),
        "entity" => include_str!("../../data/examples/entity.json"),
        "service" => include_str!("../../data/examples/service.json"),
        "healthcheck" => include_str!("../../data/examples/healthcheck.json"),
        "ticket" => include_str!("../../data/examples/ticket.json"),
        _ => return None,
    })
}
