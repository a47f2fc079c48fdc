//! Choices that follow from a number.

/// Returns a source of choices that follow from `seed` alone: each call returns a number below its
/// argument, which must not be 0.
///
/// A seed also decides how the choices are spread, so that a few hundred seeds show states that
/// lost nearly everything, states that lost very little, and those between.
pub fn choices(seed: u64) -> impl FnMut(usize) -> usize {
    let mut random = SplitMix::new(seed);
    let spread = random.below(4);
    move |options| {
        let newest = options - 1;
        match (spread, random.below(8)) {
            (1, 1..) | (3, 0..4) => 0,
            (2, 1..) | (3, _) => newest,
            _ => random.below(options),
        }
    }
}

/// The generator `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns a number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let limit = limit as u64;
        // Less than `limit`, so it fits.
        usize::try_from(mixed % limit).unwrap_or_default()
    }
}
