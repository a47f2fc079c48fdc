//! The six kinds of record, in one table. No other file of code lists them; `defaults.toml` has a
//! table `[topics.…]` for each.

/// A kind of record. `kind as usize` indexes an array of [`Kind::COUNT`] elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An event of a monitored entity.
    Event,
    /// A metric of a monitored entity.
    Metric,
    /// An entity's place in the topology.
    Entity,
    /// A service's place in the topology.
    Service,
    /// The health of an adaptor.
    Healthcheck,
    /// A ticket's change, as an ITSM tool reports it.
    Ticket,
}

struct Row {
    kind: Kind,
    paths: &'static [&'static str],
    topic: &'static str,
    event_type: &'static str,
    default_key: &'static [&'static str],
    example: &'static str,
}

const TABLE: [Row; Kind::COUNT] = [
    Row {
        kind: Kind::Event,
        // The second is the spelling of the API's 2024 edition.
        paths: &["/publish/allevents", "/publish/allevnts"],
        topic: "events",
        event_type: "iem.event",
        default_key: &["splitby", "entityid"],
        example: include_str!("../../tests/data/examples/event.json"),
    },
    Row {
        kind: Kind::Metric,
        paths: &["/publish/metrics"],
        topic: "metrics",
        event_type: "iem.metric",
        default_key: &["mappedentityid", "entity"],
        example: include_str!("../../tests/data/examples/metric.json"),
    },
    Row {
        kind: Kind::Entity,
        paths: &["/publish/entity"],
        topic: "entities",
        event_type: "iem.entity",
        default_key: &["entityid"],
        example: include_str!("../../tests/data/examples/entity.json"),
    },
    Row {
        kind: Kind::Service,
        paths: &["/publish/service"],
        topic: "services",
        event_type: "iem.service",
        default_key: &["servicename"],
        example: include_str!("../../tests/data/examples/service.json"),
    },
    Row {
        kind: Kind::Healthcheck,
        paths: &["/publish/healthcheck"],
        topic: "healthchecks",
        event_type: "iem.healthcheck",
        default_key: &["host"],
        example: include_str!("../../tests/data/examples/healthcheck.json"),
    },
    Row {
        kind: Kind::Ticket,
        paths: &[],
        topic: "tickets",
        event_type: "iem.ticket",
        default_key: &["sysid"],
        example: include_str!("../../tests/data/examples/ticket.json"),
    },
];

impl Kind {
    /// The number of kinds.
    pub const COUNT: usize = 6;

    /// Every kind, in the order of `kind as usize`.
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::Event; Self::COUNT];
        let mut index = 0;
        while index < Self::COUNT {
            assert!(
                TABLE[index].kind as usize == index,
                "the table is in the order of the enum"
            );
            all[index] = TABLE[index].kind;
            index += 1;
        }
        all
    };

    /// Returns the paths that take this kind by `POST`, each without its optional trailing slash. A
    /// ticket has none here: its path names the customer.
    pub const fn paths(self) -> &'static [&'static str] {
        TABLE[self as usize].paths
    }

    /// Returns the topic's name in the configuration and, by default, at the backend.
    pub const fn topic(self) -> &'static str {
        TABLE[self as usize].topic
    }

    /// Returns the `CloudEvents` attribute `type`.
    pub const fn event_type(self) -> &'static str {
        TABLE[self as usize].event_type
    }

    /// Returns the kind of a `CloudEvents` attribute `type`.
    pub fn of_event_type(event_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.event_type() == event_type)
    }

    /// Returns the kind whose topic has this name.
    pub fn of_topic(topic: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.topic() == topic)
    }

    /// Returns the default fields of the ordering key, the preferred one first.
    pub const fn default_key(self) -> &'static [&'static str] {
        TABLE[self as usize].default_key
    }

    /// Returns a valid record of this kind, for customer `acme` if the record names its customer.
    pub const fn example(self) -> &'static str {
        TABLE[self as usize].example
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use crate::record::{KeyFields, TicketUpdate, parse};

    #[test]
    fn every_example_is_a_record_with_the_default_key() {
        let keys = Kind::ALL.map(|kind| {
            let key_fields = KeyFields::from(kind.default_key());
            let body = kind.example().as_bytes();
            if kind == Kind::Ticket {
                TicketUpdate::parse(body, "acme", &key_fields)
                    .expect("a ticket")
                    .key_value
                    .expect("a key")
            } else {
                parse(body, &key_fields)
                    .expect("a record")
                    .into_key()
                    .into()
            }
        });
        let expected = [
            "acme/acme_web-01_cpu",
            "acme/web-01",
            "acme/web-01",
            "acme/checkout",
            "acme/nifi-01",
            "9d385017c611228701d22104cc95c371",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_metric_may_have_the_shape_of_an_event() {
        let key_fields = KeyFields::from(Kind::Metric.default_key());
        let parsed = parse(Kind::Event.example().as_bytes(), &key_fields).expect("a record");
        assert_eq!(&*parsed.into_key(), "acme/web-01");
    }

    #[test]
    fn no_two_kinds_share_a_path_a_topic_or_a_type() {
        let mut names: Vec<_> = Kind::ALL
            .iter()
            .flat_map(|kind| {
                kind.paths()
                    .iter()
                    .chain([&kind.topic(), &kind.event_type()])
                    .copied()
                    .collect::<Vec<_>>()
            })
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
