use governor::clock::FakeRelativeClock;

use super::*;
use crate::identity::directory::Directory;

const SECOND: Duration = Duration::from_secs(1);

fn customers(quota: &str) -> Directory {
    let text = format!(
        "[[customer]]\nid = 'a'\nname = 'A'\n{quota}\n[[customer]]\nid = 'b'\nname = 'B'\n"
    );
    Directory::parse(&text, "directory.toml".as_ref()).expect("a directory")
}

fn quota(records: u32, bytes: u32) -> Quota {
    Quota {
        records: NonZeroU32::new(records),
        bytes: NonZeroU32::new(bytes),
    }
}

fn take(
    quotas: &Quotas<FakeRelativeClock>,
    directory: &Directory,
    id: &str,
    records: usize,
    bytes: usize,
) -> Result<(), OverQuota> {
    quotas.take(directory.customer(id).expect("a customer"), records, bytes)
}

#[test]
fn records_a_second_are_limited_for_each_customer_alone() {
    let clock = FakeRelativeClock::default();
    let directory = customers("");
    let quotas = Quotas::with_clock(quota(10, 0), clock.clone());
    assert_eq!(take(&quotas, &directory, "a", 10, 1 << 30), Ok(()));
    assert_eq!(
        take(&quotas, &directory, "a", 1, 1),
        Err(OverQuota::Until(SECOND / 10))
    );
    assert_eq!(take(&quotas, &directory, "b", 10, 1), Ok(()));
    clock.advance(SECOND / 10);
    assert_eq!(take(&quotas, &directory, "a", 1, 1), Ok(()));
    clock.advance(SECOND);
    assert_eq!(take(&quotas, &directory, "a", 11, 1), Err(OverQuota::Never));
    assert_eq!(take(&quotas, &directory, "a", 10, 1), Ok(()));
}

#[test]
fn bytes_a_second_are_limited() {
    let clock = FakeRelativeClock::default();
    let directory = customers("");
    let quotas = Quotas::with_clock(quota(0, 1000), clock.clone());
    assert_eq!(take(&quotas, &directory, "a", 100, 600), Ok(()));
    assert_eq!(
        take(&quotas, &directory, "a", 1, 600),
        Err(OverQuota::Until(SECOND / 5))
    );
    assert_eq!(
        take(&quotas, &directory, "a", 1, 1001),
        Err(OverQuota::Never)
    );
    assert_eq!(
        take(&quotas, &directory, "a", 1, usize::MAX),
        Err(OverQuota::Never)
    );
}

#[test]
fn a_customer_may_ever_take_what_a_full_quota_takes() {
    let directory = customers("");
    let customer = directory.customer("a").expect("a customer");
    for (records, bytes) in [(10, 1000), (11, 1000), (10, 1001), (0, usize::MAX)] {
        let quotas = Quotas::with_clock(quota(10, 1000), FakeRelativeClock::default());
        let is_taken = quotas.take(customer, records, bytes).is_ok();
        assert_eq!(quotas.may_take(customer, records, bytes), is_taken);
    }
    let unlimited = Quotas::with_clock(quota(0, 0), FakeRelativeClock::default());
    assert!(unlimited.may_take(customer, usize::MAX, usize::MAX));
}

#[test]
fn what_is_over_the_limit_on_bytes_does_not_count_as_records() {
    let directory = customers("");
    let quotas = Quotas::with_clock(quota(10, 1000), FakeRelativeClock::default());
    for _ in 0..5 {
        assert_eq!(
            take(&quotas, &directory, "a", 9, 1001),
            Err(OverQuota::Never)
        );
    }
    assert_eq!(take(&quotas, &directory, "a", 10, 1000), Ok(()));
}

fn give_back(
    quotas: &Quotas<FakeRelativeClock>,
    directory: &Directory,
    records: usize,
    bytes: usize,
) {
    let customer = directory.customer("a").expect("a customer");
    quotas.give_back(customer, records, bytes, quotas.time());
}

#[test]
fn what_is_given_back_may_be_taken_again() {
    let directory = customers("");
    let quotas = Quotas::with_clock(quota(10, 1000), FakeRelativeClock::default());
    assert_eq!(take(&quotas, &directory, "a", 10, 1000), Ok(()));
    give_back(&quotas, &directory, 4, 300);
    assert_eq!(
        take(&quotas, &directory, "a", 5, 1),
        Err(OverQuota::Until(SECOND / 10))
    );
    assert_eq!(
        take(&quotas, &directory, "a", 1, 301),
        Err(OverQuota::Until(SECOND / 1000))
    );
    assert_eq!(take(&quotas, &directory, "a", 4, 300), Ok(()));
}

#[test]
fn what_is_given_back_never_raises_the_burst() {
    let clock = FakeRelativeClock::default();
    let directory = customers("");
    let quotas = Quotas::with_clock(quota(10, 0), clock.clone());
    give_back(&quotas, &directory, 10, 1);
    assert_eq!(take(&quotas, &directory, "a", 10, 1), Ok(()));
    clock.advance(SECOND * 10);
    for _ in 0..3 {
        give_back(&quotas, &directory, 10, 1);
    }
    assert_eq!(take(&quotas, &directory, "a", 10, 1), Ok(()));
    assert_eq!(
        take(&quotas, &directory, "a", 1, 1),
        Err(OverQuota::Until(SECOND / 10))
    );
    give_back(&quotas, &directory, usize::MAX, usize::MAX);
    assert_eq!(take(&quotas, &directory, "a", 10, 1), Ok(()));
    assert_eq!(
        take(&quotas, &directory, "a", 1, 1),
        Err(OverQuota::Until(SECOND / 10))
    );
}

#[test]
fn what_was_taken_from_an_earlier_quota_is_not_given_back() {
    let quotas = Quotas::with_clock(quota(10, 0), FakeRelativeClock::default());
    let (before, after) = (customers(""), customers("quota = { records = 5 }"));
    assert_eq!(take(&quotas, &before, "a", 10, 1), Ok(()));
    assert_eq!(take(&quotas, &after, "a", 5, 1), Ok(()));
    give_back(&quotas, &before, 10, 1);
    assert_eq!(
        take(&quotas, &after, "a", 1, 1),
        Err(OverQuota::Until(SECOND / 5))
    );
}

#[test]
fn what_was_taken_under_an_earlier_default_is_not_given_back() {
    let directory = customers("");
    let customer = directory.customer("a").expect("a customer");
    let quotas = Quotas::with_clock(quota(10, 0), FakeRelativeClock::default());
    let before = quotas.time();
    assert_eq!(take(&quotas, &directory, "a", 10, 1), Ok(()));
    quotas.set_default(quota(5, 0));
    let after = quotas.time();
    assert_eq!(take(&quotas, &directory, "a", 5, 1), Ok(()));
    quotas.give_back(customer, 10, 1, before);
    assert_eq!(
        take(&quotas, &directory, "a", 1, 1),
        Err(OverQuota::Until(SECOND / 5))
    );
    quotas.give_back(customer, 5, 1, after);
    assert_eq!(take(&quotas, &directory, "a", 5, 1), Ok(()));
}

#[test]
fn a_customers_own_quota_overrides_the_default_and_changes_with_the_directory() {
    let clock = FakeRelativeClock::default();
    let quotas = Quotas::with_clock(quota(10, 1000), clock);
    let own = customers("quota = { records = 2 }");
    assert_eq!(take(&quotas, &own, "a", 3, 1), Err(OverQuota::Never));
    assert_eq!(
        take(&quotas, &own, "a", 1, 1001),
        Err(OverQuota::Never),
        "the other rate is the default"
    );
    assert_eq!(take(&quotas, &own, "b", 10, 1), Ok(()));
    let unbounded = customers("quota = { records = 0, bytes = '0 B' }");
    assert_eq!(take(&quotas, &unbounded, "a", 1 << 20, 1 << 40), Ok(()));
    let more = customers("quota = { records = 5 }");
    assert_eq!(take(&quotas, &more, "a", 5, 1), Ok(()));
}
