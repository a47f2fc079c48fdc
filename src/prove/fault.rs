//! Faults of a run: commands that are run at their times, each on a thread of its own.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

/// The variable with a password, which no command needs to know.
pub const PASSWORD_VARIABLE: &str = "IEM_GATEWAY_PASSWORD";

/// A command, and the time after the begin at which it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The time after the begin.
    pub at: Duration,
    /// The command, for a shell.
    pub command: String,
}

impl FromStr for Fault {
    type Err = String;

    /// Parses `AT COMMAND`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (at, command) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or("not a time and a command, such as '10s systemctl stop iem-gateway'")?;
        let at = humantime::parse_duration(at)
            .map_err(|error| format!("{at} is not a time such as 10s: {error}"))?;
        Ok(Self {
            at,
            command: command.trim().to_owned(),
        })
    }
}

/// The course of a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Course {
    /// The command.
    pub command: String,
    /// The time after the begin at which it was run, in seconds.
    pub at_s: f64,
    /// The time that it took, in seconds; `None` if it had not ended.
    pub took_s: Option<f64>,
    /// Its state at the end.
    pub state: State,
}

/// The state of a command when the result was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its time had not come.
    Waiting,
    /// It had not ended when the result was made.
    Running,
    /// It ended with this exit code.
    Exited(i32),
    /// It ended otherwise, or could not be run.
    Failed(String),
}

impl State {
    /// Returns whether the command failed.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Exited(code) => *code != 0,
            Self::Failed(_) => true,
            Self::Waiting | Self::Running => false,
        }
    }
}

/// The faults of a run under way.
pub struct Faults(Vec<Arc<Mutex<Course>>>);

impl Faults {
    /// Runs each command at its time after `begin`. `say` is called with a line for each begin and
    /// end.
    pub fn start(
        faults: &[Fault],
        begin: Instant,
        say: impl Fn(&str) + Clone + Send + 'static,
    ) -> Self {
        Self(
            faults
                .iter()
                .map(|fault| start(fault.clone(), begin, say.clone()))
                .collect(),
        )
    }

    /// Returns the course of each fault so far. Commands that run are left alone.
    pub fn courses(&self) -> Vec<Course> {
        self.0.iter().map(|course| course.lock().clone()).collect()
    }
}

fn start(fault: Fault, begin: Instant, say: impl Fn(&str) + Send + 'static) -> Arc<Mutex<Course>> {
    let course = Arc::new(Mutex::new(Course {
        command: fault.command.clone(),
        at_s: fault.at.as_secs_f64(),
        took_s: None,
        state: State::Waiting,
    }));
    let shared = Arc::clone(&course);
    let thread = std::thread::Builder::new().name("fault".to_owned());
    let spawned = thread.spawn(move || {
        std::thread::sleep((begin + fault.at).saturating_duration_since(Instant::now()));
        let started = Instant::now();
        {
            let mut course = shared.lock();
            course.at_s = started.saturating_duration_since(begin).as_secs_f64();
            course.state = State::Running;
        }
        say(&format!("fault: {}", fault.command));
        let state = run(&fault.command);
        say(&format!("fault {}: {}", described(&state), fault.command));
        let mut course = shared.lock();
        course.took_s = Some(started.elapsed().as_secs_f64());
        course.state = state;
    });
    if let Err(error) = spawned {
        course.lock().state = State::Failed(format!("no thread for it: {error}"));
    }
    course
}

/// Runs a command by a shell. Its output goes to standard error, because standard output is for the
/// result.
fn run(command: &str) -> State {
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env_remove(PASSWORD_VARIABLE)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status();
    match status {
        Ok(status) => state(status),
        Err(error) => State::Failed(format!("cannot run sh: {error}")),
    }
}

fn state(status: ExitStatus) -> State {
    match status.code() {
        Some(code) => State::Exited(code),
        None => State::Failed(status.to_string()),
    }
}

/// Returns what became of a command, in words.
pub fn described(state: &State) -> String {
    match state {
        State::Waiting => "was not run".to_owned(),
        State::Running => "has not ended".to_owned(),
        State::Exited(code) => format!("ended with status {code}"),
        State::Failed(reason) => format!("failed ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_time_and_a_command() {
        let fault: Fault = "1500ms systemctl kill -s KILL x".parse().expect("a fault");
        assert_eq!(fault.at, Duration::from_millis(1500));
        assert_eq!(fault.command, "systemctl kill -s KILL x");
        for text in ["", "10s", "systemctl stop x", "10 x"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_status_of_a_command_is_kept() {
        assert_eq!(run("exit 3"), State::Exited(3));
        assert_eq!(run("true"), State::Exited(0));
        assert!(matches!(run("kill -9 $$"), State::Failed(reason) if reason.contains('9')));
        assert!(State::Exited(3).is_failure() && !State::Exited(0).is_failure());
    }
}
