//! The payload of a commit: a table of the requests' sizes, and the requests. What a request's
//! records share stands once.
//!
//! The table, the shared part of each request and each record have checksums of their own, so that
//! damage to one costs no other. Each is that of its sequence number: what stands at a wrong place,
//! because a disk has written it there, proves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes};
use iem_sink::{Context, Digests, Record};
use uuid::Uuid;

use super::{Malformed, Nonce, narrow, padded, put_text, take, take_text, take_u32, take_u64};

/// Bits of the optional parts of a request.
const HAS_INTEGRATION: u8 = 1;
const HAS_ACTIONABLE_STATE: u8 = 1 << 1;
const HAS_TRACEPARENT: u8 = 1 << 2;
const HAS_DIGESTS: u8 = 1 << 3;

/// The bytes of a request's entry in the table.
const EXTENT_BYTES: usize = 2 * size_of::<u32>();

/// The records of one request, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The records, at least one. All have one context.
    pub records: &'a [Record],
}

impl<'a> Request<'a> {
    /// Returns the request of these records.
    #[must_use]
    pub fn new(records: &'a [Record]) -> Self {
        Self { records }
    }
}

/// The content of a payload, as far as its checksums prove it.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    /// The records by their index in the commit, in order.
    pub(crate) records: Vec<(u32, Record)>,
    /// The number of records that the table names; 0 if it is damaged.
    pub(crate) count: u32,
    /// The bytes that the table names, and its own.
    bytes: usize,
}

/// The payload of a commit whose header is damaged.
pub(crate) struct Saved {
    pub(crate) payload: Payload,
    /// The bytes of the whole commit.
    pub(crate) commit_bytes: usize,
}

/// The size of one request.
#[derive(Clone, Copy, Debug)]
struct Extent {
    bytes: u32,
    records: u32,
}

/// Encodes requests, one after the other.
#[derive(Default)]
pub(crate) struct Encoder {
    table: Vec<Extent>,
    requests: Vec<u8>,
    count: u32,
    header: Vec<u8>,
    records: Vec<u8>,
}

impl Encoder {
    /// Returns the number of records so far.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Forgets all requests, and keeps the memory, up to `bytes_kept`.
    pub(crate) fn clear(&mut self, bytes_kept: usize) {
        self.table.clear();
        self.count = 0;
        for buffer in [&mut self.requests, &mut self.header, &mut self.records] {
            buffer.clear();
            buffer.shrink_to(bytes_kept);
        }
    }

    /// Appends a request. `nonce` is that of the segment, and `first_sequence` the number of the
    /// commit's first record.
    pub(crate) fn push(&mut self, nonce: Nonce, first_sequence: u64, request: Request<'_>) {
        let Some(first) = request.records.first() else {
            return;
        };
        let first_sequence = first_sequence + u64::from(self.count);
        let mut customers = Customers::default();
        self.records.clear();
        self.header.clear();
        self.header.put_u32_le(0);
        self.header.put_u32_le(narrow(request.records.len()));
        for (sequence, record) in (first_sequence..).zip(request.records) {
            let start = self.records.len();
            self.records.put_slice(record.id.as_bytes());
            self.records.put_u32_le(customers.index(&record.customer));
            put_text(&mut self.records, &record.key);
            self.records.put_slice(&record.data);
            let checksum = nonce.checksum_at(sequence, &self.records[start..]);
            self.records.put_u32_le(checksum);
            self.header.put_u32_le(narrow(self.records.len() - start));
        }
        put_context(&mut self.header, &first.context);
        self.header.put_u32_le(narrow(customers.in_order.len()));
        for customer in customers.in_order {
            put_text(&mut self.header, customer);
        }
        let length = narrow(self.header.len() + size_of::<u32>());
        self.header[..4].copy_from_slice(&length.to_le_bytes());
        let checksum = nonce.checksum_at(first_sequence, &self.header);
        self.header.put_u32_le(checksum);
        self.table.push(Extent {
            bytes: narrow(self.header.len() + self.records.len()),
            records: narrow(request.records.len()),
        });
        self.requests.put_slice(&self.header);
        self.requests.put_slice(&self.records);
        self.count += narrow(request.records.len());
    }

    /// Makes the payload. `first_sequence` is the number of its first record.
    pub(crate) fn finish(&self, nonce: Nonce, first_sequence: u64, payload: &mut Vec<u8>) {
        payload.clear();
        payload.put_u32_le(narrow(self.table.len()));
        for extent in &self.table {
            payload.put_u32_le(extent.bytes);
            payload.put_u32_le(extent.records);
        }
        let checksum = nonce.checksum_at(first_sequence, payload);
        payload.put_u32_le(checksum);
        payload.put_slice(&self.requests);
    }
}

/// The customers of a request, each once, in the order in which they come.
#[derive(Default)]
struct Customers<'a> {
    in_order: Vec<&'a str>,
    indexes: BTreeMap<&'a str, u32>,
}

impl<'a> Customers<'a> {
    fn index(&mut self, customer: &'a str) -> u32 {
        *self.indexes.entry(customer).or_insert_with(|| {
            self.in_order.push(customer);
            narrow(self.in_order.len() - 1)
        })
    }
}

fn put_context(buffer: &mut Vec<u8>, context: &Context) {
    let Context {
        source,
        kind,
        time,
        user,
        integration,
        actionable_state,
        traceparent,
        rejection: _,
        digests,
    } = context;
    let optional = [
        (HAS_INTEGRATION, integration),
        (HAS_ACTIONABLE_STATE, actionable_state),
        (HAS_TRACEPARENT, traceparent),
    ];
    let mut flags = if digests.is_some() { HAS_DIGESTS } else { 0 };
    for (flag, value) in &optional {
        flags |= if value.is_some() { *flag } else { 0 };
    }
    buffer.put_u8(flags);
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = since_1970.unwrap_or_default().as_nanos();
    buffer.put_u64_le(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    for text in [source, &**kind, user] {
        put_text(buffer, text);
    }
    for value in optional.into_iter().filter_map(|(_, value)| value.as_ref()) {
        put_text(buffer, value);
    }
    if let Some(digests) = digests {
        buffer.put_slice(&digests.key);
        buffer.put_slice(&digests.body);
    }
}

/// The shared part of a request.
struct Shared {
    lengths: Vec<u32>,
    context: Arc<Context>,
    customers: Vec<Arc<str>>,
}

/// Reads the payload of a commit whose first record has this sequence number. Whether the payload as
/// a whole matches its checksum does not matter here.
pub(crate) fn decode(nonce: Nonce, first_sequence: u64, payload: &[u8]) -> Payload {
    let mut read = Payload::default();
    let mut rest = payload;
    let Ok(table) = take_table(nonce, first_sequence, &mut rest) else {
        return read;
    };
    read.bytes = payload.len() - rest.len();
    for extent in table {
        let (request, behind) = rest
            .split_at_checked(extent.bytes as usize)
            .unwrap_or_default();
        rest = behind;
        let first = first_sequence.saturating_add(u64::from(read.count));
        if let Ok((shared, records)) = decode_request(nonce, first, request) {
            read.add(nonce, first, &shared, records, extent.records);
        }
        read.count = read.count.saturating_add(extent.records);
        read.bytes = read.bytes.saturating_add(extent.bytes as usize);
    }
    read
}

impl Payload {
    /// Adds the records of the next request that are proven. It has `count`, from `first` on.
    fn add(&mut self, nonce: Nonce, first: u64, shared: &Shared, mut records: &[u8], count: u32) {
        let indexes = self.count..self.count.saturating_add(count);
        for ((index, sequence), length) in indexes.zip(first..).zip(&shared.lengths) {
            let Ok(record) = take(&mut records, *length as usize) else {
                return;
            };
            if let Ok(record) = decode_record(nonce, sequence, shared, record) {
                self.records.push((index, record));
            }
        }
    }
}

fn take_table(nonce: Nonce, first: u64, bytes: &mut &[u8]) -> Result<Vec<Extent>, Malformed> {
    let whole = *bytes;
    let count = take_u32(bytes)?;
    let mut entries = take(bytes, (count as usize).saturating_mul(EXTENT_BYTES))?;
    let table = &whole[..whole.len() - bytes.len()];
    if take_u32(bytes)? != nonce.checksum_at(first, table) {
        return Err(Malformed::Damaged);
    }
    let extents = (0..count).map(|_| {
        Ok(Extent {
            bytes: take_u32(&mut entries)?,
            records: take_u32(&mut entries)?,
        })
    });
    extents.collect()
}

/// Reads the shared part of a request. Returns it with the bytes of the records.
fn decode_request(nonce: Nonce, first: u64, request: &[u8]) -> Result<(Shared, &[u8]), Malformed> {
    let mut bytes = request;
    let length = take_u32(&mut bytes)? as usize;
    let sealed = length.checked_sub(size_of::<u32>());
    let (header, mut checksum) = sealed
        .and_then(|sealed| request.split_at_checked(sealed))
        .ok_or(Malformed::Damaged)?;
    if take_u32(&mut checksum)? != nonce.checksum_at(first, header) {
        return Err(Malformed::Damaged);
    }
    let count = take_u32(&mut bytes)?;
    let lengths = (0..count)
        .map(|_| take_u32(&mut bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let context = Arc::new(take_context(&mut bytes)?);
    let customers = take_u32(&mut bytes)?;
    let customers = (0..customers)
        .map(|_| take_text(&mut bytes).map(Arc::from))
        .collect::<Result<_, _>>()?;
    let shared = Shared {
        lengths,
        context,
        customers,
    };
    Ok((shared, &request[length..]))
}

fn take_context(bytes: &mut &[u8]) -> Result<Context, Malformed> {
    let [flags] = *take(bytes, 1)? else {
        return Err(Malformed::Damaged);
    };
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(take_u64(bytes)?);
    let source = take_text(bytes)?.into();
    let kind = take_text(bytes)?.to_owned().into();
    let user = take_text(bytes)?.into();
    let mut optional = |flag: u8| {
        (flags & flag != 0)
            .then(|| take_text(bytes).map(Box::from))
            .transpose()
    };
    let mut context = Context {
        source,
        kind,
        time,
        user,
        integration: optional(HAS_INTEGRATION)?,
        actionable_state: optional(HAS_ACTIONABLE_STATE)?,
        traceparent: optional(HAS_TRACEPARENT)?,
        rejection: None,
        digests: None,
    };
    if flags & HAS_DIGESTS != 0 {
        context.digests = Some(Box::new(Digests {
            key: take_digest(bytes)?,
            body: take_digest(bytes)?,
        }));
    }
    Ok(context)
}

fn take_digest(bytes: &mut &[u8]) -> Result<[u8; 32], Malformed> {
    let digest = take(bytes, 32)?;
    digest.try_into().map_err(|_| Malformed::Damaged)
}

fn decode_record(
    nonce: Nonce,
    sequence: u64,
    shared: &Shared,
    record: &[u8],
) -> Result<Record, Malformed> {
    let sealed = record.len().checked_sub(size_of::<u32>());
    let (mut bytes, mut checksum) = sealed
        .and_then(|sealed| record.split_at_checked(sealed))
        .ok_or(Malformed::Damaged)?;
    if take_u32(&mut checksum)? != nonce.checksum_at(sequence, bytes) {
        return Err(Malformed::Damaged);
    }
    let id = Uuid::from_slice(take(&mut bytes, 16)?).map_err(|_| Malformed::Damaged)?;
    let customer = take_u32(&mut bytes)? as usize;
    let customer = shared.customers.get(customer).ok_or(Malformed::Damaged)?;
    let key = take_text(&mut bytes)?.into();
    Ok(Record {
        id,
        context: Arc::clone(&shared.context),
        customer: Arc::clone(customer),
        key,
        data: Bytes::copy_from_slice(bytes),
    })
}

/// Reads what its own checksums prove of a commit whose header is damaged, and with it the place of
/// the payload. Returns `None` if the table of the requests' sizes is damaged, too, or is not that of
/// the commit whose first record has this sequence number.
pub(crate) fn salvage(nonce: Nonce, first_sequence: u64, commit: &[u8]) -> Option<Saved> {
    super::commit::header_lengths().find_map(|length| {
        let payload = decode(nonce, first_sequence, commit.get(length..)?);
        (payload.count > 0).then(|| Saved {
            commit_bytes: padded(length.saturating_add(payload.bytes)),
            payload,
        })
    })
}
