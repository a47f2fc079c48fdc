//! The faults of a body that is not a valid record. Clients see the messages and keep 256 bytes of
//! them, so they are short and begin with what matters. They contain nothing of the record but the
//! names of the gateway's own fields.

use std::borrow::Cow;

use super::alertmanager::AlertFault;
use super::cloud_event::EventFault;

/// The fault of a body that is not a valid record. Bytes are counted from 0, behind a byte order
/// mark.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Empty, or white space alone.
    #[error("the body is empty; a JSON object is expected")]
    Empty,
    /// An empty array, or blank lines alone.
    #[error("the body holds no record")]
    NoRecord,
    /// Another JSON value, or no JSON.
    #[error("a JSON object is expected")]
    NotAnObject,
    /// Not UTF-8, which RFC 8259 requires.
    #[error("invalid UTF-8 at byte {at}")]
    Encoding {
        /// The first byte that is part of no character.
        at: usize,
    },
    /// Not the grammar of RFC 8259.
    #[error("invalid JSON at byte {at}: {problem}")]
    Syntax {
        /// The byte that the grammar does not allow there.
        at: usize,
        /// The fault at that byte.
        problem: Cow<'static, str>,
    },
    /// Text that was cut off, or a quote or bracket that is not closed.
    #[error("invalid JSON: cut off at byte {at}")]
    Incomplete {
        /// The end of the text.
        at: usize,
    },
    /// A second value behind the first.
    #[error(
        "a second JSON value at byte {at}; send several records as one array, or one a line under the content type \
         application/x-ndjson"
    )]
    Several {
        /// The beginning of the second value.
        at: usize,
    },
    /// Neither spelling of the customer field.
    #[error(
        "the customer is missing: neither `envcustomerid` nor `envcustomer_id` is in the record"
    )]
    CustomerMissing,
    /// A customer field whose value names no customer.
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
    /// A field that readers without regard for case take for the customer field.
    #[error("a field is named like `envcustomerid` or `envcustomer_id`, but in other letters")]
    CustomerLookAlike,
    /// A ticket whose body names another customer than its path.
    #[error("the body names another customer than the path")]
    TicketCustomer,
    /// A ticket without a valid state.
    #[error("`state` must be an integer, or a string of one")]
    TicketState,
    /// A ticket without its identifier.
    #[error("`sysid` must be a non-empty string")]
    TicketId,
    /// An event of `CloudEvents` that holds no record.
    #[error(transparent)]
    Event(#[from] EventFault),
    /// A notification of Alertmanager that cannot be read.
    #[error(transparent)]
    Alert(#[from] AlertFault),
}

impl Malformed {
    /// Returns whether the text is not JSON, so that no record in it can be judged.
    pub(super) fn is_of_syntax(&self) -> bool {
        matches!(
            self,
            Self::Encoding { .. }
                | Self::Syntax { .. }
                | Self::Incomplete { .. }
                | Self::Several { .. }
        )
    }

    /// Returns the same fault for a text that begins `by` bytes further on.
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
