//! The directory: users, customers, associations and integrations, as one immutable snapshot.
//!
//! A snapshot is read from the directory file, replaced as a whole while the gateway runs
//! ([`LiveDirectory`]) and changed only by editing the file ([`mod@edit`]).

mod changes;
mod customer;
mod customer_quota;
pub mod edit;
mod error;
mod file;
pub mod first;
mod integration;
mod live;
mod password_version;
mod snapshot;
mod user;

pub use customer::Customer;
pub use customer_quota::CustomerQuota;
pub use error::DirectoryError;
pub use integration::Integration;
pub use live::{DirectoryFollower, LiveDirectory, Status};
pub use password_version::PasswordVersion;
pub use snapshot::Directory;
pub use user::User;
