//! Delivery of records: the meaning of 200 under overload, in a crash, on a full disk, in a drain.

mod crash;
mod drain;
pub(crate) mod full_disk;
mod metadata;
mod neighbours;
mod overload;
mod pinned_bodies;
mod repeats;
