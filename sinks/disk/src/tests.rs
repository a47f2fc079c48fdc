//! Tests of the disk, its faults and its simulated power cuts, on real files.

#![allow(clippy::unwrap_used)]

mod faults;
mod fixture;
mod folder_lock;
mod operations;
mod power_cut;
mod random_changes;
