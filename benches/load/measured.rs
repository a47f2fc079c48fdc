//! The measurements of one side.

use super::case::{Serving, Side, Task};
use super::process::Resident;
use super::window::Window;

/// A side with one window for each turn.
pub struct Measured {
    pub side: Side,
    pub windows: Vec<Window>,
    /// A further window, sampled by `perf`.
    pub profile: Option<Window>,
    /// The intended requests a second, if the arrival rate is constant.
    pub rate: Option<f64>,
    pub connections: usize,
    /// The process's memory before the first connection.
    pub idle: Resident,
    /// The process's memory at the end of the last turn.
    pub loaded: Resident,
}

impl Measured {
    /// Returns the side's name, with its load if that differs from the subject's.
    pub fn name(&self, subject: &Self) -> String {
        match (self.side.task, subject.side.task) {
            (Task::Served(serving, load), Task::Served(subject, same)) if load == same => {
                serving.beside(subject)
            }
            (Task::Served(serving, load), _) => format!("{serving}, {load}"),
            (Task::Start(serving), _) => serving.to_string(),
            (Task::Alone(alone), _) => alone.to_string(),
            (Task::Forward(setup), _) => Serving::Gateway(setup).to_string(),
        }
    }
}

impl Serving {
    /// Returns the server's name, with its sink if that differs from the subject's.
    fn beside(self, subject: Self) -> String {
        if let (Self::Gateway(setup), Self::Gateway(subject)) = (self, subject)
            && setup.to_string() != subject.to_string()
        {
            return format!("{self}, {setup}");
        }
        self.to_string()
    }
}
