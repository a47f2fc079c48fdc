//! The command.

use std::process::ExitCode;

fn main() -> ExitCode {
    iem_gateway::cli::main()
}
