//! What a close look at a backend finds, for an operator who wants to know before the first record
//! does.

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A folder, a broker, a topic.
    pub what: String,
    /// How good or bad it is.
    pub level: Level,
    /// In words; where something is missing, with the command that makes it.
    pub text: String,
}

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Good,
    /// Records are delivered, but slower or less safely than they might be.
    Weak,
    /// Records cannot be delivered.
    Bad,
}

impl Finding {
    /// All is well with `what`, or nothing is: as `found` says.
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
