//! Tests of the journal as a whole: random calls, power cuts, failing disks and flipped bits, each
//! against an oracle.

mod bit_flips;
mod faults;
mod format;
mod kept_limit;
mod limits;
mod looks;
mod model;
pub(crate) mod oracle;
mod power_cuts;
mod regressions;
mod spare;
pub(crate) mod world;
