//! Sizes as people write them: a number and its unit, `"8 MiB"`.

use bytesize::ByteSize;

/// Parses a size, in bytes; `None` without a unit.
pub fn parse(text: &str) -> Option<u64> {
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let size: ByteSize = text.parse().ok().filter(|_| has_unit)?;
    Some(size.as_u64())
}

/// Formats bytes as a size with its unit.
pub fn text(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}
