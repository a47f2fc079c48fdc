//! The contract for reading a topic back, to find out whether everything that was acknowledged is
//! there. A reader knows nothing of the sink's writers: it sees what any other consumer sees.

use std::time::Instant;

use crate::SinkError;

/// A reader of one topic. Used by one thread at a time, which it may block.
pub trait Reader: Send {
    /// Passes on what the topic holds, in the order in which the backend keeps the records of a
    /// key. A later call goes on where this one ended. Returns at `until`, or earlier once
    /// everything has been read; a pass over files is never cut short.
    ///
    /// # Errors
    /// Transient if a later call may succeed.
    fn read(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Found<'_>),
    ) -> Result<Reached, SinkError>;

    /// Asks the backend whether anything is left that has not been read. Blocks at most until
    /// `deadline`.
    ///
    /// # Errors
    /// Something is left, or the backend does not answer.
    fn check_end(&mut self, deadline: Instant) -> Result<(), SinkError>;
}

/// A step of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'r> {
    /// The reader begins again: what it passed on before does not count any more.
    Anew,
    /// A record's data, as the backend has it.
    Record(&'r [u8]),
}

/// The progress of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The end of the topic, as far as the reader knows.
    End,
    /// A place before the end.
    Middle,
}
