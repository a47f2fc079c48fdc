//! The idempotency key of a request, and what follows from it.

use iem_sink::Digests;
use smallvec::SmallVec;
use uuid::Uuid;

/// The most characters of a key.
const CHARACTERS_MAX: usize = 255;
/// The most bytes that are hashed in one go, which costs less than a piece at a time.
const SHORT: usize = 512;

/// A key as a client has sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey<'a>(&'a [u8]);

impl<'a> IdempotencyKey<'a> {
    /// Reads the value of the header: 1 to 255 printable ASCII characters, bare or in quotes, which
    /// are no part of the key. `None` if it is something else.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let bare = value
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        let key = bare.unwrap_or(value);
        let is_printable = key.iter().all(|byte| matches!(byte, b' '..=b'~'));
        ((1..=CHARACTERS_MAX).contains(&key.len()) && is_printable).then_some(Self(key))
    }
}

/// The key of one request in its scope: a digest of user, endpoint and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// Returns the key of a user's request at an endpoint, as `docs/contract.md#idempotency` says.
    pub fn new(user: &str, endpoint: &[&str], key: IdempotencyKey<'_>) -> Self {
        let endpoint = endpoint.iter().map(|part| part.as_bytes());
        Self::of_parts([user.as_bytes()].into_iter().chain(endpoint).chain([key.0]))
    }

    /// Returns the key of an event of `CloudEvents` that a user sends: its type, its customer and, of a
    /// ticket, its integration (or else nothing), its source and its id.
    pub fn of_event(user: &str, parts: [&str; 5]) -> Self {
        let parts = [user, "cloudevents"].into_iter().chain(parts);
        Self::of_parts(parts.map(str::as_bytes))
    }

    fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let with_lengths = parts.clone().map(|part| size_of::<u64>() + part.len());
        if with_lengths.sum::<usize>() > SHORT {
            let mut hasher = blake3::Hasher::new();
            put_each(parts, |bytes| {
                hasher.update(bytes);
            });
            return Self(hasher.finalize().into());
        }
        let mut short = SmallVec::<[u8; SHORT]>::new();
        put_each(parts, |bytes| short.extend_from_slice(bytes));
        Self(blake3::hash(&short).into())
    }
}

/// Puts each part behind its length.
fn put_each<'a>(parts: impl Iterator<Item = &'a [u8]>, mut put: impl FnMut(&[u8])) {
    for part in parts {
        put(&(part.len() as u64).to_le_bytes());
        put(part);
    }
}

/// The digests of a request's records, one after another.
pub struct Digester {
    key: [u8; 32],
    index: u64,
    all: blake3::Hasher,
}

impl Digester {
    /// Begins with the first record.
    pub fn new(key: &RequestKey) -> Self {
        Self::of(key.0)
    }

    /// Begins with the first record of a request that has this digest of its key.
    pub fn of(key: [u8; 32]) -> Self {
        Self {
            key,
            index: 0,
            all: blake3::Hasher::new(),
        }
    }

    /// Returns the id of the next record: UUID version 8 (RFC 9562).
    pub fn next_id(&mut self, data: &[u8]) -> Uuid {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.index.to_le_bytes());
        hasher.update(data);
        let digest = hasher.finalize();
        self.index += 1;
        self.all.update(digest.as_bytes());
        Uuid::new_v8(first_half(digest.as_bytes()))
    }

    /// Returns the digests of the request.
    pub fn finish(&self) -> Digests {
        Digests {
            key: self.key,
            body: self.all.finalize().into(),
        }
    }
}

/// Returns as much of a digest as tells it from others.
pub(super) fn first_half(digest: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}
