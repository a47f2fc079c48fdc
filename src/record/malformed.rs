//! Why a body is not a valid record. The messages go to clients, which keep 256 bytes of them:
//! short, what matters first, and nothing of the record but the names of the gateway's own fields.

use std::borrow::Cow;

/// Why a body is not a valid record. Bytes are counted from 0, after a byte order mark.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing, or white space alone.
    #[error("the body is empty; a JSON object is expected")]
    Empty,
    /// An empty array, or no line but blank ones.
    #[error("the body holds no record")]
    NoRecord,
    /// Another JSON value, or no JSON at all.
    #[error("a JSON object is expected")]
    NotAnObject,
    /// RFC 8259 asks for UTF-8.
    #[error("invalid UTF-8 at byte {at}")]
    Encoding {
        /// The first byte that belongs to no character.
        at: usize,
    },
    /// Not the grammar of RFC 8259.
    #[error("invalid JSON at byte {at}: {problem}")]
    Syntax {
        /// The byte that cannot stand where it stands.
        at: usize,
        /// What is wrong there.
        problem: Cow<'static, str>,
    },
    /// Text that was cut off, or a quote or bracket that is not closed.
    #[error("invalid JSON: cut off at byte {at}")]
    Incomplete {
        /// Where the text ends.
        at: usize,
    },
    /// A second value behind the first.
    #[error(
        "a second JSON value at byte {at}; send several records as one array, or one a line under the content type \
         application/x-ndjson"
    )]
    Several {
        /// Where the second begins.
        at: usize,
    },
    /// Neither spelling of the customer field.
    #[error(
        "the customer is missing: neither `envcustomerid` nor `envcustomer_id` is in the record"
    )]
    CustomerMissing,
    /// A customer field with a value that names nobody.
    #[error("`{field}` must be a non-empty string or an integer of digits alone")]
    CustomerInvalid {
        /// The field as the API spells it.
        field: &'static str,
    },
    /// One spelling of the customer field twice.
    #[error("`{field}` is in the record more than once")]
    CustomerRepeated {
        /// The field as the API spells it.
        field: &'static str,
    },
    /// Both spellings of the customer field, with different values.
    #[error("`envcustomerid` and `envcustomer_id` differ")]
    CustomerContradicted,
    /// A ticket's state that is none.
    #[error("`state` must be an integer, or a string of one")]
    TicketState,
    /// A ticket without its identifier.
    #[error("`sysid` must be a non-empty string")]
    TicketId,
}

impl Malformed {
    /// Whether the text is no JSON, so that nothing can be said of records in it.
    pub(super) fn is_of_syntax(&self) -> bool {
        matches!(
            self,
            Self::Encoding { .. }
                | Self::Syntax { .. }
                | Self::Incomplete { .. }
                | Self::Several { .. }
        )
    }

    /// The same of a text that stands so many bytes further on.
    pub(super) fn moved(mut self, by: usize) -> Self {
        if let Self::Encoding { at }
        | Self::Syntax { at, .. }
        | Self::Incomplete { at }
        | Self::Several { at } = &mut self
        {
            *at += by;
        }
        self
    }
}
