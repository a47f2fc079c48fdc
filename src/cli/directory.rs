//! `directory …`, `customer …`, `user …` and `integration …`: the directory's commands.
//!
//! They change the directory file or the database alone; a running gateway follows it. A password is prompted
//! for twice on the terminal or read as one line from standard input, never taken as an argument,
//! which other users could see.

mod context;
mod customer;
mod error;
mod integration;
mod password;
mod table;
mod user;
mod whole;

pub use customer::CustomerCommand;
pub use error::CommandError;
pub use integration::IntegrationCommand;
pub use user::UserCommand;
pub use whole::DirectoryCommand;

#[cfg(test)]
mod tests;
