//! The directory of several gateways in PostgreSQL: its schema, and how gateways and commands read,
//! follow and change it.
//!
//! A gateway reads all users and customers once, and from then on the changes since the revision that
//! it has. A request never waits for the database.
//!
//! All statements are sent with their types and without a name, in one message: PgBouncer's
//! transaction mode hands the next message to another connection of the server, which knows no
//! statement of ours. They name the schema, `iem_gateway`, since a `SET search_path` would be lost
//! alike.

mod connection;
mod edit;
mod error;
mod limits;
mod migrations;
mod read;
mod rows;
mod sessions;
mod settings;

pub use connection::{Connection, GatewayRow};
pub use edit::{Contents, Edit, Removed};
pub use error::Error;
pub use limits::{Demand, FailedLogins};
pub use migrations::{SCHEMA_VERSION, migrate};
pub use read::{Changes, Revision, Revisions};
pub use rows::{Customer, Integration, User};
pub use sessions::{EndedPassword, EndedSession, Refresh, SessionChanges, SessionRow};
pub use settings::Settings;
