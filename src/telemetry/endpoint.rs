//! What a request asked for, as logs and metrics label it: one for each path, whatever became of
//! the request.

use crate::record::Kind;

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Publish of one kind, or a ticket's change.
    Records(Kind),
    /// Both token paths.
    Token,
    /// The health check that clients ask.
    Running,
    /// No path of ours, or no method of it.
    Other,
}

impl Endpoint {
    /// Every endpoint, in the order of [`index`](Self::index).
    pub(super) const ALL: [Self; Kind::COUNT + 3] = [
        Self::Records(Kind::Event),
        Self::Records(Kind::Metric),
        Self::Records(Kind::Entity),
        Self::Records(Kind::Service),
        Self::Records(Kind::Healthcheck),
        Self::Records(Kind::Ticket),
        Self::Token,
        Self::Running,
        Self::Other,
    ];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Records(kind) => kind as usize,
            Self::Token => Kind::COUNT,
            Self::Running => Kind::COUNT + 1,
            Self::Other => Kind::COUNT + 2,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Records(kind) => kind.topic(),
            Self::Token => "token",
            Self::Running => "running",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn each_stands_at_its_index() {
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint.index(), index, "{endpoint:?}");
        }
    }
}
