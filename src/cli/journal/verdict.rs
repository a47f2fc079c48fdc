//! The verdict on a journal, which becomes the exit code.

/// The result of a command that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that was read is damaged, and all that was to be sent is there.
    Sound,
    /// Something is.
    Damaged,
    /// Something was not sent.
    Unfinished,
    /// A sink will not have it until an operator changes something.
    #[cfg_attr(
        not(feature = "file"),
        allow(dead_code, reason = "replay alone has it")
    )]
    Refused,
}
