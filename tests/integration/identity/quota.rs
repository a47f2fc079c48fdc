//! Quotas: records beyond a customer's quota are answered 429, and no other customer notices.

use std::time::Duration;

use iem_test_support::{Home, eventually, post};

const EVENTS: &str = "/publish/allevents/";
const METRICS: &str = "/publish/metrics/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

/// Below any rate at which this test could send: what is used up stays so while it runs.
const SLOWLY: i64 = 3;

#[test]
fn one_customers_flood_is_429_and_raises_no_error_of_anothers() {
    let home = Home::new().set("quota.records", SLOWLY);
    let home = home.edit_directory(|text| {
        text.replace(
            "id = \"globex\"\n",
            "id = \"globex\"\nquota = { records = 0, bytes = \"0 B\" }\n",
        )
    });
    let gateway = home.start();
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let (mut flood, mut other) = (gateway.connect(), gateway.connect());
    let (mut taken, mut refused) = (0_usize, 0_u32);
    for _ in 0..200 {
        flood.send(post(EVENTS, RECORD).cookie(&alice).bytes());
        other.send(
            post(EVENTS, r#"{"envcustomerid":"globex"}"#)
                .cookie(&bob)
                .bytes(),
        );
        let answer = flood.answer();
        if answer.status == 200 {
            taken += 1;
        } else {
            let answer = answer.expect(429).says_when_to_retry();
            assert_eq!(
                answer.message(),
                "The customer is over its quota, try again later"
            );
            refused += 1;
        }
        other.answer().expect(200);
    }
    assert!(refused > 0, "{taken} taken");
    let records = home.records("events");
    assert_eq!(
        records
            .iter()
            .filter(|record| record.attribute("customerid") == "acme")
            .count(),
        taken
    );
    assert_eq!(records.len(), taken + 200);
    assert!(
        (gateway.metric("iem_gateway_over_quota_records_total", &[]) - f64::from(refused)).abs()
            < 0.5
    );
    eventually(
        Duration::from_secs(5),
        "the customer may send again",
        || gateway.publish(METRICS, RECORD).status == 200,
    );
}

#[test]
fn more_bytes_than_a_second_may_ever_hold_are_answered() {
    let home = Home::new().set("quota.bytes", "1 KiB");
    let gateway = home.start();
    gateway.publish(EVENTS, RECORD).expect(200);
    let large = format!(
        r#"{{"envcustomerid":"acme","text":"{}"}}"#,
        "x".repeat(2000)
    );
    let answer = gateway
        .publish(EVENTS, large.clone())
        .expect(429)
        .says_when_to_retry();
    assert_eq!(
        answer.message(),
        "The customer may never send so much at once, send less in a request"
    );

    // The directory is followed while the gateway runs.
    let changed = home.run(&["customer", "quota", "acme", "--bytes", "1 MiB"]);
    assert!(changed.status.success(), "{changed:?}");
    eventually(Duration::from_secs(10), "the new quota holds", || {
        gateway.publish(EVENTS, large.clone()).status == 200
    });
}
