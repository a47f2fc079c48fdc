#![allow(clippy::unwrap_used)]

use std::time::UNIX_EPOCH;

use super::*;

const DELAY: Duration = Duration::from_mins(2);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(byte: u8, created_s: u64) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32], at(created_s))
}

#[test]
fn the_newest_key_signs_once_every_gateway_has_it() {
    let (old, new, newest) = (key(1, 0), key(2, 1_000), key(3, 1_060));
    let ring = Ring::new([&newest, &old, &new]);
    let check = |now_s: u64, signer: &SigningKey| {
        assert_eq!(ring.signer(DELAY, at(now_s)), Some(signer.id()), "{now_s}");
    };
    check(1_000, &old);
    check(1_119, &old);
    check(1_120, &new);
    check(1_179, &new);
    check(1_180, &newest);
    check(1_000_000, &newest);
}

#[test]
fn the_oldest_key_signs_where_none_is_old_enough() {
    let (one, other) = (key(1, 1_000), key(2, 1_010));
    let ring = Ring::new([&other, &one]);
    for now_s in [0, 1_000, 1_119] {
        assert_eq!(ring.signer(DELAY, at(now_s)), Some(one.id()));
    }
}

#[test]
fn gateways_agree_on_keys_of_one_time() {
    let (one, other) = (key(1, 1_000), key(2, 1_000));
    let signer = |keys| Ring::new(keys).signer(DELAY, at(9_999));
    assert_eq!(signer([&one, &other]), signer([&other, &one]));
}

#[test]
fn one_key_in_two_files_is_one() {
    let (early, late) = (key(1, 1_000), key(1, 5_000));
    let ring = Ring::new([&late, &early]);
    assert_eq!(ring.keys().collect::<Vec<_>>(), [(early.id(), at(1_000))]);
}
