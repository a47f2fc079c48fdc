//! The cost of a password hash, and its bounds.

use std::fmt;

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

/// OWASP's choices for argon2id, each as hard to guess against as the others: memory in KiB, and
/// passes. A hash is strong if it is at least as costly as one of them in both.
const STRONG: [(u32, u32); 5] = [
    (47_104, 1),
    (19_456, 2),
    (12_288, 3),
    (9_216, 4),
    (7_168, 5),
];
/// The cost of the hashes in tests, which log in hundreds of times. Only a build for tests takes it.
const OF_TESTS: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

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
    /// Returns whether somebody who has the hash must work for each guess at least as hard as OWASP
    /// recommends.
    pub fn is_strong(self) -> bool {
        let is_of_tests = cfg!(any(test, feature = "testing")) && self == OF_TESTS;
        is_of_tests
            || STRONG.iter().any(|(memory_kib, passes)| {
                self.memory_kib >= *memory_kib && self.passes >= *passes
            })
    }

    /// Returns whether the cost is within this gateway's bounds.
    pub(super) fn is_bounded(self) -> bool {
        let work_kib = u64::from(self.memory_kib) * u64::from(self.passes);
        self.memory_kib <= MEMORY_KIB_MAX && work_kib <= WORK_KIB_MAX && self.lanes <= LANES_MAX
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "m={},t={},p={}",
            self.memory_kib, self.passes, self.lanes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_strong_by_memory_and_passes_together() {
        let check = |memory_kib, passes, expected| {
            let cost = Cost {
                memory_kib,
                passes,
                lanes: 1,
            };
            assert_eq!(cost.is_strong(), expected, "{cost}");
        };
        assert!(Cost::default().is_strong());
        check(47_104, 1, true);
        check(19_456, 1, false);
        check(19_456, 2, true);
        check(19_455, 2, false);
        check(12_288, 3, true);
        check(9_216, 4, true);
        check(7_168, 5, true);
        check(7_167, 100, false);
        check(65_536, 3, true);
        // The default of the `argon2` command line.
        check(4_096, 3, false);
        // Nearly that of the tests, which alone is exempt.
        check(8, 2, false);
        check(16, 1, false);
    }
}
