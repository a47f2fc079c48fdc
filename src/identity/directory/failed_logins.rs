//! Failed log-ins, as gateways that share a directory tell them to one another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The number of failures by the user, where the name is a user's, and the peer.
pub type Failures = HashMap<(Option<Arc<str>>, IpAddr), u32>;

/// Who counts failed log-ins of this gateway, and of the others.
pub trait FailedLogins: Send + Sync {
    /// Returns those that failed here and of which the others were not told yet.
    fn take_untold(&self) -> Failures;

    /// Puts back those of which nobody could be told.
    fn put_back(&self, untold: Failures);

    /// Counts those that failed at another gateway, of a user or of names that are no user's.
    fn count_elsewhere(&self, user: Option<&str>, peer: IpAddr, failures: u32);
}
