//! Requests that are encoded and decoded come out byte for byte.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iem_sink::{Context, Digests, Record, testing};
use proptest::prelude::*;

use crate::format::Nonce;
use crate::format::request::{self, Encoder, Request};

const NONCE: Nonce = Nonce(0x0123_4567_89ab_cdef);
const FIRST: u64 = 1_000;

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn context() -> impl Strategy<Value = Context> {
    let optional = || prop::option::of(text().prop_map(String::into_boxed_str));
    (
        (text(), text(), text(), 0..u64::MAX / 2),
        (optional(), optional(), optional()),
        prop::option::of(any::<([u8; 32], [u8; 32])>()),
    )
        .prop_map(|((source, kind, user, time), optional, digests)| Context {
            source: source.into(),
            kind: kind.into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_nanos(time),
            user: user.into(),
            integration: optional.0,
            actionable_state: optional.1,
            traceparent: optional.2,
            rejection: None,
            digests: digests.map(|(key, body)| Box::new(Digests { key, body })),
        })
}

fn requests() -> impl Strategy<Value = Vec<Vec<Record>>> {
    let record = (0_u8..4, text(), prop::collection::vec(any::<u8>(), 0..50));
    let request = (context(), prop::collection::vec(record, 1..6));
    prop::collection::vec(request, 1..5).prop_map(|requests| {
        let request = |(context, records): (Context, Vec<(u8, String, Vec<u8>)>)| {
            let context = Arc::new(context);
            let record = |(customer, key, data): (u8, String, Vec<u8>)| Record {
                context: Arc::clone(&context),
                customer: format!("customer-{customer}").into(),
                key: key.into(),
                ..testing::record("", data)
            };
            records.into_iter().map(record).collect()
        };
        requests.into_iter().map(request).collect()
    })
}

type Attributes = (String, SystemTime, Vec<u8>, Option<Box<Digests>>);

fn attributes(record: &Record) -> Attributes {
    let mut text = String::new();
    record.for_each_attribute(|name, value| {
        let _ = write!(text, "{name}={value:?};");
    });
    let context = &record.context;
    (
        text,
        context.time,
        record.data.to_vec(),
        context.digests.clone(),
    )
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written(requests in requests()) {
        let mut encoder = Encoder::default();
        for records in &requests {
            encoder.push(NONCE, FIRST, Request { records });
        }
        let mut payload = Vec::new();
        encoder.finish(NONCE, FIRST, &mut payload);
        let read = request::decode(NONCE, FIRST, &payload);
        prop_assert_eq!(read.count, encoder.count());
        let written: Vec<_> = requests.iter().flatten().map(attributes).collect();
        let indexes: Vec<u32> = read.records.iter().map(|(index, _)| *index).collect();
        let read: Vec<_> = read.records.iter().map(|(_, record)| attributes(record)).collect();
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(indexes, (0..u32::try_from(written.len())?).collect::<Vec<_>>());
        // Under another nonce or number, nothing is proven.
        for (nonce, first) in [(Nonce(1), FIRST), (NONCE, FIRST + 1)] {
            prop_assert!(request::decode(nonce, first, &payload).records.is_empty());
        }
    }
}
