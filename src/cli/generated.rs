//! `schema`, `completions` and `man`: what is made from the program's own definitions, for editors,
//! shells and readers.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::config;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// The arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Folder for a page of each command; made where it is missing. Without one, the program's own
    /// page is printed
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints the JSON Schema of the configuration file.
pub(super) fn print_schema(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:#}", config::schema())
}

impl Completions {
    /// Prints the script that completes the command line in the shell.
    pub(super) fn run(&self, mut command: Command, out: &mut dyn Write) -> io::Result<()> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, &name, &mut script);
        if self.shell != Shell::Bash {
            return out.write_all(&script);
        }
        // Past the first command it names the program in two ways, if that has a hyphen:
        // https://github.com/clap-rs/clap/issues/6421
        let script = String::from_utf8_lossy(&script);
        let wrong = name.replace('-', "__subcmd__");
        out.write_all(script.replace(&wrong, &name.replace('-', "__")).as_bytes())
    }
}

impl Manual {
    /// Writes a page for each command, or prints that of the program.
    pub(super) fn run(&self, command: Command, out: &mut dyn Write) -> io::Result<()> {
        match &self.folder {
            None => Man::new(command).render(out),
            Some(folder) => fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .map_err(|error| {
                    let message = format!("{}: {error}", folder.display());
                    io::Error::new(error.kind(), message)
                }),
        }
    }
}
