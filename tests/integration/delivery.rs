//! Delivery of records: what an answer of 200 means under overload, a crash, a full disk or a drain.

mod crash;
mod drain;
mod full_disk;
mod metadata;
mod overload;
