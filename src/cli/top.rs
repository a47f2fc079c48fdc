//! `top`: the first screen of the console in a terminal, drawn anew each second, or once.

mod screen;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::termios::tcgetwinsize;
use zeroize::Zeroizing;

use super::exit::{FAILED, fail};
use crate::admin::console::overview::Overview;
use crate::client::{Client, Url};
use crate::tls;
use screen::Screen;

/// The time between two screens.
const INTERVAL: Duration = Duration::from_secs(1);
/// The looks of which one screen has at most, to know rates.
const LOOKS_MAX: usize = 10;
/// The time that the gateway has to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// The columns of what is no terminal, and of a terminal that does not tell.
const COLUMNS: usize = 100;

/// The beginning of a terminal's screen, the end of what is old on a line, and of all below.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Shows what a running gateway does, as the console's first screen does: whether all is well, the
/// ledger, the topics, the customers with the most records. Ctrl-C ends it. Exit code 1 says that the
/// gateway does not answer.
#[derive(Debug, Args)]
pub(super) struct TopCommand {
    /// The admin listener of the gateway
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    url: Url,
    /// Print one screen, and end; so does what writes to no terminal
    #[arg(long)]
    once: bool,
    /// A file with a superadmin's access token, for a listener that asks for a log-in; read anew
    /// for each screen
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates, PEM, that the gateway's is verified with [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl TopCommand {
    /// Runs the command. Blocks.
    pub(super) fn run(self, json: bool) -> ExitCode {
        let mut out = io::stdout().lock();
        let is_once = self.once || json || !out.is_terminal();
        match self.show(is_once, json, &mut out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FAILED, &error),
        }
    }

    fn show(self, is_once: bool, json: bool, out: &mut impl Write) -> Result<(), String> {
        let url = self.url.to_string();
        let tls = if self.url.https {
            let config = tls::client_config(self.ca.as_deref());
            Some(config.map_err(|error| format!("--ca: {error}"))?)
        } else {
            None
        };
        let client = Client::new(self.url, tls);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let told = |error: io::Error| format!("cannot write the screen: {error}");
        let mut is_first = true;
        let mut looks = 0;
        loop {
            let token = self.token_file.as_deref().map(read_token).transpose()?;
            let answer = overview(&client, &url, token.as_deref().map(String::as_str));
            let overview = runtime.block_on(answer)?;
            looks += 1;
            // Rates need two moments, a second apart if the gateway has the time.
            if is_once && overview.ledger.accepted_rate.is_none() && looks < LOOKS_MAX {
                std::thread::sleep(INTERVAL);
                continue;
            }
            if is_once {
                return once(&overview, json, out).map_err(told);
            }
            let screen = Screen {
                columns: columns(),
                is_terminal: true,
            };
            let lines = screen.lines(&overview);
            draw(&lines, std::mem::take(&mut is_first), out).map_err(told)?;
            std::thread::sleep(INTERVAL);
        }
    }
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Asks the gateway for its first screen.
async fn overview(client: &Client, url: &str, token: Option<&str>) -> Result<Overview, String> {
    let deadline = Instant::now() + ANSWER_TIME;
    let answer = client.get("/overview", token, deadline).await;
    let answer = answer.map_err(|failure| format!("no answer from {url}: {failure}"))?;
    if matches!(answer.status, 401 | 403) {
        return Err(format!(
            "{url} asks for the log-in of a superadmin: name a file with an access token, --token-file"
        ));
    }
    if answer.status != 200 {
        return Err(format!("{url} answers {} to /overview", answer.status));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| format!("{url} is no gateway of this version: {error}"))
}

fn once(overview: &Overview, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        let text = serde_json::to_string_pretty(overview)?;
        return writeln!(out, "{text}");
    }
    let screen = Screen {
        columns: COLUMNS,
        is_terminal: false,
    };
    for line in screen.lines(overview) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Draws a screen over the one before. Lines that do not fit are left out.
fn draw(lines: &[String], is_first: bool, out: &mut impl Write) -> io::Result<()> {
    if is_first {
        write!(out, "{HOME}{CLEAR_BELOW}")?;
    }
    write!(out, "{HOME}")?;
    let rows = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
    let shown = if rows > 0 { rows - 1 } else { lines.len() };
    for line in lines.iter().take(shown) {
        write!(out, "{line}{CLEAR_LINE}\r\n")?;
    }
    write!(out, "{CLEAR_BELOW}")?;
    out.flush()
}

fn columns() -> usize {
    let size = tcgetwinsize(io::stdout());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { COLUMNS } else { columns }
}
