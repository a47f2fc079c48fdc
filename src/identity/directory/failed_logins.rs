//! Failed log-ins, as gateways that share a directory tell them to one another.

use std::collections::HashMap;
use std::net::IpAddr;

/// The number of failures by the name and the peer. Of the name there are [`NAME_BITS`] of a digest:
/// it may be anybody's, or a password that was typed in the wrong place.
pub type Failures = HashMap<(u32, IpAddr), u32>;

/// The bits of a name's digest: few enough to tell nobody the name, and so many that another name hardly
/// has the same.
pub const NAME_BITS: u32 = 24;

/// A counter of failed log-ins, of this gateway and of the others.
pub trait FailedLogins: Send + Sync {
    /// Returns those that failed here and of which the others were not told yet.
    fn take_untold(&self) -> Failures;

    /// Puts back those of which nobody could be told.
    fn put_back(&self, untold: Failures);

    /// Counts those that failed at another gateway.
    fn count_elsewhere(&self, name: u32, peer: IpAddr, failures: u32);

    /// Sets the key of the names' digests, the same on all gateways. Without it nothing is told.
    fn set_key(&self, key: [u8; 32]);
}
