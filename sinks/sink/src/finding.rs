//! Findings of an inspection of a backend, for an operator who prepares a start.

/// The result for one thing that was inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A folder, a broker, a topic.
    pub what: String,
    /// How good or bad it is.
    pub level: Level,
    /// The result in words, with the command that creates what is missing.
    pub text: String,
}

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All is well.
    Good,
    /// Records are delivered, but slower or less safely than they might be.
    Weak,
    /// Records cannot be delivered.
    Bad,
}

impl Finding {
    /// Creates a good finding from `Ok`, and a bad one from `Err`.
    pub fn new(what: impl Into<String>, found: Result<String, String>) -> Self {
        let level = if found.is_ok() {
            Level::Good
        } else {
            Level::Bad
        };
        let (Ok(text) | Err(text)) = found;
        Self {
            what: what.into(),
            level,
            text,
        }
    }
}
