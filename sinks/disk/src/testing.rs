//! Support for tests of what keeps data on a disk: operations that fail on demand, and the states
//! that a power cut can leave behind. Never part of a running gateway.
//!
//! A test of power cuts runs the code on a [`Disk`](crate::Disk) whose trace has begun in a folder,
//! takes the [`Recording`], and for each number of its changes builds with [`Recording::cut_power`]
//! a folder as a power cut at that point leaves it. There it runs the code again, on a new disk,
//! whose trace may begin in the built folder: so a second power cut can hit the recovery.
//! Syncs are carried out for real while a trace records. A test that needs many of them is faster
//! in a folder in memory (`/dev/shm`), and shows the same states.
//!
//! The states are those that POSIX allows, and more than any one file system shows:
//! - Each sector of 512 bytes of a file holds its content of the file's last sync or one of those
//!   written since, independently of all other sectors. So does the length; where a sector that is
//!   kept lies beyond it, the file reaches up to that sector's end, and a gap reads as zeros.
//! - Each change of a name since the last sync of its folder is kept or not, independently of all
//!   others. A rename is kept or lost as one: once kept, the file has its new name alone, whatever
//!   became of earlier changes of its name. A removal that is kept takes the file away under every
//!   name. A folder that is not kept takes along what is in it.
//! - What a failed sync of a file should have written stays in doubt until it is written again: a
//!   later sync that succeeds does not settle it. A failed sync of a folder settles nothing, and a
//!   later one that succeeds settles all.

mod choices;
mod faults;
mod power_cut;
mod recording;
mod trace;

pub use choices::choices;
pub use faults::Faults;
pub use recording::{Change, FileId, Found, Recording};
pub use trace::Trace;

#[cfg(test)]
pub(crate) use choices::SplitMix;
pub(crate) use trace::Step;
