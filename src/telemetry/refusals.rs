//! The latest refusals of each endpoint, for the console. They hold a status and a message of the
//! API, and nothing of a record or a credential.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::endpoint::Endpoint;

/// The refusals that are kept for each endpoint.
const KEPT: usize = 64;

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The time at which the request came.
    pub at: SystemTime,
    /// The status of its answer.
    pub status: u16,
    /// The message of its answer.
    pub message: Cow<'static, str>,
    /// The email of its user, if that is known.
    pub user: Option<Arc<str>>,
    /// The address of its client.
    pub peer: IpAddr,
}

/// The latest refusals, by endpoint.
pub struct Refusals([Mutex<VecDeque<Refusal>>; Endpoint::ALL.len()]);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// Notes a refusal. Never waits: while another one is noted or read, it is left out.
    pub fn note(&self, endpoint: Endpoint, refusal: impl FnOnce() -> Refusal) {
        if let Some(mut latest) = self.0[endpoint.index()].try_lock() {
            if latest.len() >= KEPT {
                latest.pop_front();
            }
            latest.push_back(refusal());
        }
    }

    /// Returns the latest refusals of an endpoint, the last one first.
    pub fn latest(&self, endpoint: Endpoint) -> Vec<Refusal> {
        let latest = self.0[endpoint.index()].lock();
        latest.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::record::Kind;

    fn refusal(second: u64) -> Refusal {
        Refusal {
            at: UNIX_EPOCH + Duration::from_secs(second),
            status: 401,
            message: "Missing access token".into(),
            user: None,
            peer: Ipv4Addr::LOCALHOST.into(),
        }
    }

    #[test]
    fn the_latest_are_kept_by_endpoint_and_the_last_comes_first() {
        let refusals = Refusals::new();
        let events = Endpoint::Records(Kind::ALL[0]);
        for second in 0..KEPT as u64 + 5 {
            refusals.note(events, || refusal(second));
        }
        let latest = refusals.latest(events);
        assert_eq!(latest.len(), KEPT);
        assert_eq!(latest[0], refusal(KEPT as u64 + 4));
        assert_eq!(latest[KEPT - 1], refusal(5));
        assert_eq!(refusals.latest(Endpoint::Records(Kind::ALL[1])), []);
    }
}
