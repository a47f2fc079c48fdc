//! A key that signs tokens, and its file: hexadecimal or base64 text, alone or with the time of its
//! creation.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::geteuid;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::key_id::KeyId;
use crate::identity::private_file::{self, OpenError};

/// HMAC-SHA-256 wants a key at least as long as its output (RFC 7518, 3.2).
const BYTES_MIN: usize = 32;
/// Far more than any key; a wrong file is not read to its end.
const FILE_BYTES_MAX: u64 = 4096;

/// A key that signs tokens: at least 32 bytes.
pub struct SigningKey {
    bytes: Zeroizing<Vec<u8>>,
    created: SystemTime,
}

/// A key file that has a time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    created: String,
    key: String,
}

impl SigningKey {
    /// Reads the key file, or creates one with a random key and mode 0600 if there is none. Two
    /// gateways that start at once on one file get the same key.
    ///
    /// # Errors
    /// The file cannot be read or created, holds no key or one that is too short, or other users
    /// may read it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        if !path
            .try_exists()
            .map_err(|error| KeyError::new(path, Problem::Read(error.to_string())))?
        {
            let key = Self::random();
            create(path, &key.digits()).map_err(|error| KeyError::new(path, error))?;
        }
        Self::read(path)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// As [`open`](Self::open), also if there is none.
    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        read(path)
            .and_then(|text| Self::parse(&text))
            .map_err(|problem| KeyError::new(path, problem))
    }

    /// Writes the key with its time to a file that is not there yet; returns whether it is written.
    pub(super) fn write(&self, path: &Path) -> Result<bool, KeyError> {
        let created = humantime::format_rfc3339_millis(self.created);
        let digits = self.digits();
        let text = format!(
            "# A key of iem-gateway's tokens: whoever reads it can make tokens of any user.\n\
             created = \"{created}\"\nkey = \"{}\"\n",
            *digits
        );
        create(path, &Zeroizing::new(text)).map_err(|problem| KeyError::new(path, problem))
    }

    /// Returns a random key that no file holds: its tokens end with the process.
    pub fn random() -> Self {
        Self {
            bytes: Zeroizing::new(rand::random::<[u8; BYTES_MIN]>().to_vec()),
            created: UNIX_EPOCH,
        }
    }

    /// Returns a random key that was created at `now`.
    pub(super) fn random_at(now: SystemTime) -> Self {
        Self {
            created: now,
            ..Self::random()
        }
    }

    /// Reads the text of a key file. A key without a time counts as older than all others.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (bytes, created) = if let Some(bytes) = decode(text.trim()) {
            (bytes, UNIX_EPOCH)
        } else {
            // The error may quote the key.
            let entry: Entry = toml::from_str(text).map_err(|_| Problem::Malformed)?;
            let digits = Zeroizing::new(entry.key);
            let created = humantime::parse_rfc3339(&entry.created);
            (
                decode(digits.trim()).ok_or(Problem::Malformed)?,
                created.map_err(|_| Problem::NoTime)?,
            )
        };
        if bytes.len() < BYTES_MIN {
            return Err(Problem::TooShort(bytes.len()));
        }
        Ok(Self { bytes, created })
    }

    /// Returns the id that tokens name.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.bytes)
    }

    /// Returns the time of its creation; 1970 for a key whose file has none.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn digits(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.bytes.len()));
        for byte in &*self.bytes {
            write!(text, "{byte:02x}").expect("a string takes every write");
        }
        text
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: &[u8], created: SystemTime) -> Self {
        Self {
            bytes: Zeroizing::new(bytes.to_vec()),
            created,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Creates the file unless it is there; returns whether it was created. If another gateway was
/// first, its key is used.
fn create(path: &Path, text: &str) -> Result<bool, Problem> {
    private_file::create_folders(private_file::folder(path))
        .and_then(|()| private_file::create(path, text.as_bytes()))
        .map_err(|error| Problem::Create(error.to_string()))
}

/// Reads the text of a key file that others may neither read nor change.
fn read(path: &Path) -> Result<Zeroizing<String>, Problem> {
    let file = private_file::open(path).map_err(|error| match error {
        OpenError::Io(error) => Problem::Read(error.to_string()),
        shared => Problem::Replaceable(shared.to_string()),
    })?;
    check_private(&file)?;
    check_owner(&file, path)?;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Problem::Malformed,
            _ => Problem::Read(error.to_string()),
        })?;
    Ok(text)
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

fn check_private(file: &File) -> Result<(), Problem> {
    let metadata = file
        .metadata()
        .map_err(|error| Problem::Read(error.to_string()))?;
    let mode = metadata.mode() & 0o7777;
    if is_private(mode, metadata.uid()) {
        Ok(())
    } else {
        Err(Problem::Shared(mode))
    }
}

/// In a folder where everybody may put files, as Kubernetes mounts secrets, a key must not be a
/// stranger's: it is root's, the gateway's, or that of the folder's owner.
fn check_owner(file: &File, path: &Path) -> Result<(), Problem> {
    let unreadable = |error: io::Error| Problem::Read(error.to_string());
    let owner = file.metadata().map_err(unreadable)?.uid();
    let folder = fs::metadata(private_file::folder(path)).map_err(unreadable)?;
    if is_trusted(owner, geteuid().as_raw(), folder.uid()) {
        Ok(())
    } else {
        Err(Problem::Foreign(owner))
    }
}

fn is_trusted(owner: u32, gateway: u32, owner_of_folder: u32) -> bool {
    [0, gateway, owner_of_folder].contains(&owner)
}

/// Returns whether a file of this mode and owner is the gateway's alone. Kubernetes mounts a secret
/// as a file of root that one group may read, the gateway's.
fn is_private(mode: u32, owner: u32) -> bool {
    let others = mode & 0o077;
    others == 0 || (owner == 0 && others == 0o040)
}

/// The reason why there is no signing key. Names the file, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token key {}: {problem}", path.display())]
pub struct KeyError {
    path: PathBuf,
    problem: Problem,
}

impl KeyError {
    pub(super) fn new(path: &Path, problem: Problem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }
}

/// The fault of a key file, or of a folder of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot be read: {0}")]
    Read(String),
    #[error("cannot be made: {0}")]
    Create(String),
    #[error("cannot be removed: {0}")]
    Remove(String),
    #[error("neither hexadecimal nor base64 text; `openssl rand -hex 32` makes a key")]
    Malformed,
    #[error("`created` is not a time such as 2026-11-29T02:00:00Z")]
    NoTime,
    #[error(
        "a key of {0} bytes is too short, at least 32 are needed; `openssl rand -hex 32` makes one"
    )]
    TooShort(usize),
    #[error("others than its owner may use it (mode {0:04o}); `chmod 600` it")]
    Shared(u32),
    #[error("{0}")]
    Replaceable(String),
    #[error("another user has made it (uid {0}); `chown` it to the gateway's user")]
    Foreign(u32),
    #[error("others may put keys there (mode {0:04o}); `chmod 700` it")]
    OpenFolder(u32),
    #[error("holds more than {0} keys; `iem-gateway keys retire` removes one")]
    TooMany(usize),
    #[error("holds no key; `iem-gateway keys rotate` makes one")]
    Empty,
    #[error("has no key {0}; `iem-gateway check` lists them")]
    NoSuchKey(KeyId),
    #[error("key {0} is the only one; `iem-gateway keys rotate` makes another")]
    OnlyKey(KeyId),
    #[error("is not a folder of keys: set tokens.keys")]
    NoFolder,
}

#[cfg(test)]
mod tests;
