//! The key that signs tokens, and its file: hexadecimal or base64 text, created on first start.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::identity::private_file;

/// HMAC-SHA-256 wants a key at least as long as its output (RFC 7518, 3.2).
const BYTES_MIN: usize = 32;
/// Far more than any key; a wrong file is not read to its end.
const FILE_BYTES_MAX: u64 = 4096;

/// The key that signs tokens: at least 32 bytes.
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// Reads the key file, or creates one with a random key and mode 0600 if there is none. Two
    /// gateways that start at once on one file get the same key.
    ///
    /// # Errors
    /// The file cannot be read or created, is neither hexadecimal nor base64, is too short, or
    /// other users may read it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let fail = |problem| KeyError {
            path: path.to_owned(),
            problem,
        };
        if !path
            .try_exists()
            .map_err(|error| fail(Problem::Read(error)))?
        {
            create(path).map_err(|error| fail(Problem::Create(error)))?;
        }
        read(path).map(Self).map_err(fail)
    }

    /// Returns a random key that no file holds: its tokens end with the process.
    pub fn random() -> Self {
        Self(Zeroizing::new(rand::random::<[u8; BYTES_MIN]>().to_vec()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

fn create(path: &Path) -> io::Result<()> {
    fs::create_dir_all(private_file::folder(path))?;
    let mut text = Zeroizing::new(String::with_capacity(2 * BYTES_MIN + 1));
    for byte in SigningKey::random().as_bytes() {
        write!(text, "{byte:02x}").map_err(io::Error::other)?;
    }
    text.push('\n');
    // If another gateway was first, its key is used.
    private_file::create(path, text.as_bytes()).map(|_| ())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let file = File::open(path).map_err(Problem::Read)?;
    check_private(&file)?;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Problem::Malformed,
            _ => Problem::Read(error),
        })?;
    let key = decode(text.trim()).ok_or(Problem::Malformed)?;
    if key.len() < BYTES_MIN {
        Err(Problem::TooShort(key.len()))
    } else {
        Ok(key)
    }
}

/// Decodes the output of `openssl rand -hex 32` or of `openssl rand -base64 32`. Text of
/// hexadecimal digits alone is hexadecimal.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let pairs = text.as_bytes().chunks(2);
    let hexadecimal: Option<Vec<u8>> = pairs.map(hexadecimal_byte).collect();
    hexadecimal
        .or_else(|| STANDARD.decode(text).ok())
        .map(Zeroizing::new)
}

fn hexadecimal_byte(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(unix)]
fn check_private(file: &File) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(Problem::Read)?.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        Ok(())
    } else {
        Err(Problem::Shared(mode))
    }
}

#[cfg(not(unix))]
fn check_private(_file: &File) -> Result<(), Problem> {
    Ok(())
}

/// The reason why there is no signing key. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
#[error("token key file {}: {problem}", path.display())]
pub struct KeyError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("cannot be made: {0}")]
    Create(io::Error),
    #[error("neither hexadecimal nor base64 text; `openssl rand -hex 32` makes a key")]
    Malformed,
    #[error(
        "a key of {0} bytes is too short, at least 32 are needed; `openssl rand -hex 32` makes one"
    )]
    TooShort(usize),
    #[error("others than its owner may use it (mode {0:04o}); `chmod 600` it")]
    Shared(u32),
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(contents: &[u8], mode: u32) -> Result<SigningKey, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        SigningKey::open(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_start_creates_a_private_key_and_the_next_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/token.key");
        let made = SigningKey::open(&path).unwrap();
        let read = SigningKey::open(&path).unwrap();
        assert_eq!(
            (made.as_bytes(), made.as_bytes().len()),
            (read.as_bytes(), BYTES_MIN)
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let other = SigningKey::open(&folder.path().join("other.key")).unwrap();
        assert_ne!(made.as_bytes(), other.as_bytes());
    }

    #[test]
    fn gateways_that_start_at_once_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| SigningKey::open(&path).unwrap()))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| key.as_bytes() == keys[0].as_bytes()));
    }

    #[test]
    fn hexadecimal_and_base64_keys_are_read() {
        let check = |text: &str, expected: &[u8]| {
            assert_eq!(
                open(text.as_bytes(), 0o400).unwrap().as_bytes(),
                expected,
                "{text}"
            );
        };
        check(
            &format!("{}\n", "0aF".repeat(22)),
            &[0x0a, 0xf0, 0xaf].repeat(11),
        );
        check(
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n",
            &(0..32).collect::<Vec<u8>>(),
        );
    }

    #[test]
    fn bad_keys_are_refused_with_a_reason() {
        let check = |contents: &[u8], mode: u32, reason: &str| {
            let error = open(contents, mode).unwrap_err();
            assert!(
                error.contains("token.key: ") && error.contains(reason),
                "{error}"
            );
        };
        check(b"", 0o600, "a key of 0 bytes is too short");
        check(&b"ab".repeat(31), 0o600, "a key of 31 bytes is too short");
        check(b"hunter2!!", 0o600, "neither hexadecimal nor base64");
        check(&[0xff; 32], 0o600, "neither hexadecimal nor base64");
        check(&b"ab".repeat(32), 0o640, "mode 0640");
        check(&b"ab".repeat(32), 0o604, "mode 0604");
    }
}
