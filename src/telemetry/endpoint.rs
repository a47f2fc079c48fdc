//! The endpoint of a request, as logs and metrics label it. It depends on the path, never on the
//! response.

use crate::record::Kind;

/// The endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Publish of one kind, or a ticket's change.
    Records(Kind),
    /// Events of `CloudEvents`, of any kind.
    CloudEvents,
    /// Alerts of Alertmanager.
    Alertmanager,
    /// Both token paths.
    Token,
    /// The paths of OAuth 2.
    OAuth,
    /// The health check for clients.
    Running,
    /// The description of the API.
    OpenApi,
    /// An unknown path, or an unknown method of a path.
    Other,
}

impl Endpoint {
    /// Every endpoint, in the order of [`index`](Self::index).
    pub(super) const ALL: [Self; Kind::COUNT + 7] = {
        let mut all = [Self::Other; Kind::COUNT + 7];
        let mut index = 0;
        while index < Kind::COUNT {
            all[index] = Self::Records(Kind::ALL[index]);
            index += 1;
        }
        all[Kind::COUNT] = Self::Token;
        all[Kind::COUNT + 1] = Self::OAuth;
        all[Kind::COUNT + 2] = Self::Running;
        all[Kind::COUNT + 3] = Self::CloudEvents;
        all[Kind::COUNT + 4] = Self::Alertmanager;
        all[Kind::COUNT + 5] = Self::OpenApi;
        all
    };

    pub(super) fn index(self) -> usize {
        match self {
            Self::Records(kind) => kind as usize,
            Self::Token => Kind::COUNT,
            Self::OAuth => Kind::COUNT + 1,
            Self::Running => Kind::COUNT + 2,
            Self::CloudEvents => Kind::COUNT + 3,
            Self::Alertmanager => Kind::COUNT + 4,
            Self::OpenApi => Kind::COUNT + 5,
            Self::Other => Kind::COUNT + 6,
        }
    }

    /// Returns the label in logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Records(kind) => kind.topic(),
            Self::CloudEvents => "cloudevents",
            Self::Alertmanager => "alertmanager",
            Self::Token => "token",
            Self::OAuth => "oauth2",
            Self::Running => "running",
            Self::OpenApi => "openapi",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn each_endpoint_has_its_index() {
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint.index(), index, "{endpoint:?}");
        }
    }
}
