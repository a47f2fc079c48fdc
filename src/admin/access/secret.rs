//! Secrets of this process: ids of sessions, and tokens of pages.

/// Returns 256 random bits as hexadecimal digits.
pub(super) fn secret() -> String {
    let bits: [u8; 32] = rand::random();
    blake3::Hash::from_bytes(bits).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_never_the_same() {
        let (one, other) = (secret(), secret());
        assert!(one.len() == 64 && one != other);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
