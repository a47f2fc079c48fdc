//! The operator's side: the command line, the admin listener, the first start, checks of the sinks.

mod admin;
mod admin_access;
mod alerts;
mod audit;
mod check_sinks;
mod command_line;
mod console;
mod first_start;
mod metrics;
mod permissions;
mod prometheus;
mod reload;
mod systemd;
mod traces;
mod upgrade;
