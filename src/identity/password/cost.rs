//! The cost of a password hash, and its bounds.

use argon2::Params;

use crate::config::PASSWORD_HASH_BYTES;

/// The most memory that one hash may take: 64 MiB, RFC 9106's recommendation where memory is
/// scarce.
pub const MEMORY_KIB_MAX: u32 = 64 * 1024;
/// The most memory × passes that one hash may take, about a second of work: 1 GiB.
const WORK_KIB_MAX: u64 = 1024 * 1024;
const LANES_MAX: u32 = 16;

// The memory ceiling must hold for every hash.
const _: () = assert!((MEMORY_KIB_MAX as usize) << 10 == PASSWORD_HASH_BYTES);

/// The cost of one hash: argon2's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Memory in KiB, argon2's `m`.
    pub memory_kib: u32,
    /// Passes over that memory, argon2's `t`.
    pub passes: u32,
    /// Lanes, argon2's `p`.
    pub lanes: u32,
}

impl Default for Cost {
    /// 19 MiB, 2 passes, 1 lane: OWASP's recommendation, and the default of the `argon2` crate.
    fn default() -> Self {
        Self {
            memory_kib: Params::DEFAULT_M_COST,
            passes: Params::DEFAULT_T_COST,
            lanes: Params::DEFAULT_P_COST,
        }
    }
}

impl Cost {
    /// Returns whether the cost is within this gateway's bounds.
    pub(super) fn is_bounded(self) -> bool {
        let work_kib = u64::from(self.memory_kib) * u64::from(self.passes);
        self.memory_kib <= MEMORY_KIB_MAX && work_kib <= WORK_KIB_MAX && self.lanes <= LANES_MAX
    }
}
