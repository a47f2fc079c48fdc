//! A search for bytes within bytes.

/// Returns the place at which `needle` begins, or `None`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
