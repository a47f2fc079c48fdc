//! The quota that the directory gives to one customer.

use crate::size;

/// A customer's own rates. `None` stands for the rate that all customers have, 0 for no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomerQuota {
    /// Records a second.
    pub records: Option<u32>,
    /// Bytes of records a second.
    pub bytes: Option<u32>,
}

impl CustomerQuota {
    /// Parses bytes a second, such as `"2 MiB"`.
    ///
    /// # Errors
    /// The text is not a size with its unit, or 4 GiB or more; the error says which.
    pub fn parse_bytes(text: &str) -> Result<u32, String> {
        let size = size::parse(text)
            .ok_or_else(|| format!("{text:?} is not a size with its unit, such as \"2 MiB\""))?;
        u32::try_from(size).map_err(|_| format!("{text:?} is 4 GiB or more"))
    }
}
