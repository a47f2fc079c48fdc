//! `user …`: changes and lists users.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::error::CommandError;
use super::password;
use super::table::yes_or_no;
use crate::identity::directory::edit::NewUser;
use crate::identity::directory::{PasswordVersion, Store, User};
use crate::identity::password::{Cost, Password, PasswordHash};

/// The directory's users.
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user; the password is asked for, if the user is to have one
    Add(AddUser),
    /// List all users
    List,
    /// Set another password; it is asked for, and ends all sessions of the user
    Passwd {
        /// The user's email
        email: String,
        /// Read the password as one line from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Refuse a user's logins, and end all sessions of the user
    Disable {
        /// The user's email
        email: String,
    },
    /// End all sessions of a user, who may log in again
    Logout {
        /// The user's email
        email: String,
    },
    /// Accept a user's logins again
    Enable {
        /// The user's email
        email: String,
    },
    /// Let a user publish for a customer
    Grant {
        /// The user's email
        email: String,
        /// The customer's id
        id: String,
    },
    /// No longer let a user publish for a customer
    Revoke {
        /// The user's email
        email: String,
        /// The customer's id
        id: String,
    },
    /// Remove a user
    Remove {
        /// The user's email
        email: String,
    },
}

/// A user to add.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct AddUser {
    /// The email that the user logs in with
    email: String,
    /// The name for people
    #[arg(long)]
    name: String,
    /// A customer to associate the user with; may be given again
    #[arg(long = "customer", value_name = "ID")]
    customers: Vec<String>,
    /// Associate the user with every customer
    #[arg(long)]
    superadmin: bool,
    /// A user of the console, who may not call the APIs
    #[arg(long)]
    organization: bool,
    /// Read the password as one line from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Ask for none: the user calls with tokens of the issuer of `[oidc]`, or with a client certificate
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
}

impl UserCommand {
    /// Runs the command on the directory in `store` and writes its output to `out`. Blocks, and
    /// may ask for a password on the terminal.
    pub fn run(self, store: &Store, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
        self.run_with(Context { store, json, out }, Cost::default(), password::ask)
    }

    /// As [`run`](Self::run), with hashes of a given cost and with passwords from `ask`, whose
    /// argument is whether to read standard input.
    pub(super) fn run_with(
        self,
        mut context: Context<'_>,
        cost: Cost,
        ask: impl FnOnce(bool) -> Result<Password, CommandError>,
    ) -> Result<(), CommandError> {
        let context = &mut context;
        match self {
            // Checked first, so that no password is typed in vain.
            Self::Add(user) => {
                context.add(|editor| editor.check_new_user(&user.email, &user.customers))?;
                let password = if user.no_password {
                    None
                } else {
                    Some(PasswordHash::new(&ask(user.password_stdin)?, cost)?)
                };
                add(context, user, password)
            }
            Self::List => list(context),
            Self::Passwd {
                email,
                password_stdin,
            } => {
                let before = context.password_version(&email)?;
                let password = PasswordHash::new(&ask(password_stdin)?, cost)?;
                context.change(|editor| editor.set_password(&email, &password))?;
                context.end_sessions(&email, before)?;
                context.say(&format!(
                    "Set another password for {email}; all sessions have ended."
                ))
            }
            Self::Disable { email } => disable(context, &email),
            Self::Logout { email } => log_out(context, &email),
            Self::Enable { email } => {
                context.change(|editor| editor.set_user_enabled(&email, true))?;
                context.say(&format!("User {email} is enabled."))
            }
            Self::Grant { email, id } => {
                let new = context.change(|editor| editor.grant(&email, &id))?;
                let before = if new { "" } else { ", and was before" };
                context.say(&format!(
                    "User {email} is associated with customer {id}{before}."
                ))
            }
            Self::Revoke { email, id } => {
                let was = context.change(|editor| editor.revoke(&email, &id))?;
                let before = if was { "" } else { ", and was not before" };
                context.say(&format!(
                    "User {email} is not associated with customer {id}{before}."
                ))
            }
            Self::Remove { email } => remove(context, &email),
        }
    }
}

/// The sessions end after the user is disabled: until then the user may begin another.
fn disable(context: &mut Context<'_>, email: &str) -> Result<(), CommandError> {
    let password = context.password_version(email)?;
    context.change(|editor| editor.set_user_enabled(email, false))?;
    context.end_sessions(email, password)?;
    context.say(&format!("User {email} is disabled."))
}

/// A user who gets the same email later is another one, and must not have the external tokens of this
/// one. The sessions end first, so that the command can be repeated if it fails in between.
fn remove(context: &mut Context<'_>, email: &str) -> Result<(), CommandError> {
    context.change(|editor| editor.check_user(email))?;
    // The entry may have a fault, which is no reason to keep it.
    let password = context.password_version(email);
    context.end_sessions(email, password.unwrap_or(PasswordVersion::NONE))?;
    context.change(|editor| editor.remove_user(email))?;
    context.say(&format!("Removed user {email}."))
}

fn log_out(context: &mut Context<'_>, email: &str) -> Result<(), CommandError> {
    let password = context.password_version(email)?;
    context.end_sessions(email, password)?;
    context.say(&format!("All sessions of {email} have ended."))
}

fn add(
    context: &mut Context<'_>,
    user: AddUser,
    password: Option<PasswordHash>,
) -> Result<(), CommandError> {
    let AddUser {
        email,
        name,
        customers,
        superadmin,
        organization,
        password_stdin: _,
        no_password: _,
    } = user;
    let message = format!("Added user {email}.");
    let user = NewUser {
        email,
        name,
        password,
        superadmin,
        organization,
        customers,
    };
    context.add(|editor| editor.add_user(user))?;
    context.say(&message)
}

fn list(context: &mut Context<'_>) -> Result<(), CommandError> {
    let directory = context.read()?;
    let users = directory.users();
    let rows = users.iter().copied().map(|user| row(user)).collect();
    context.show(
        ["EMAIL", "NAME", "KIND", "PASSWORD", "ENABLED", "CUSTOMERS"],
        rows,
        || users.iter().map(|user| value(user)).collect(),
    )
}

fn row(user: &User) -> [String; 6] {
    let kind = match (user.superadmin, user.organization) {
        (false, false) => "API",
        (true, false) => "API, superadmin",
        (false, true) => "organization",
        (true, true) => "organization, superadmin",
    };
    let customers = if user.superadmin {
        "all".to_owned()
    } else {
        user.customers().join(", ")
    };
    [
        user.email.to_string(),
        user.name.clone(),
        kind.to_owned(),
        yes_or_no(user.password().is_some()),
        yes_or_no(user.enabled),
        customers,
    ]
}

fn value(user: &User) -> serde_json::Value {
    json!({
        "email": &*user.email,
        "name": user.name,
        "superadmin": user.superadmin,
        "organization": user.organization,
        "password": user.password().is_some(),
        "enabled": user.enabled,
        "customers": user.customers().iter().map(|id| &**id).collect::<Vec<_>>(),
    })
}
