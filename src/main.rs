//! The `iem-gateway` command. All it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    iem_gateway::cli::main()
}
