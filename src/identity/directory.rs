//! The directory: users, customers, associations and integrations, as one immutable snapshot.
//!
//! A snapshot is read from the directory file, replaced as a whole while the gateway runs
//! ([`LiveDirectory`]) and changed only by editing the file ([`mod@edit`]).

mod changes;
mod customer;
mod customer_quota;
#[cfg(feature = "postgres")]
mod database;
pub mod edit;
mod error;
mod failed_logins;
mod file;
pub mod first;
mod integration;
mod live;
mod member;
mod password_version;
mod rules;
mod snapshot;
mod store;
mod table;
mod user;

pub use customer::Customer;
pub use customer_quota::CustomerQuota;
#[cfg(feature = "postgres")]
pub use database::Database;
pub use error::DirectoryError;
pub use failed_logins::{FailedLogins, Failures, NAME_BITS};
pub use integration::Integration;
pub use live::{DirectoryFollower, LiveDirectory, Status};
pub use member::Member;
pub use password_version::PasswordVersion;
pub use rules::EMAIL_BYTES_MAX;
pub use snapshot::Directory;
pub use store::Store;
pub use user::User;
