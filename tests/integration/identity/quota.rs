//! Quotas: records beyond a customer's quota are answered 429, and no other customer notices.

use std::time::Duration;

use iem_sink::SinkError;
use iem_sink::testing::{Behaviour, ScriptedSink};
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

#[test]
fn a_request_answered_503_leaves_the_quota_as_it_was() {
    let home = Home::new()
        .set("quota.records", SLOWLY)
        .set("topics.events.deadline", "100ms");
    let sink = ScriptedSink::new();
    let gateway = home.start_with(&sink);
    let burst = format!("[{RECORD},{RECORD},{RECORD}]");
    let fault = SinkError::permanent("scripted");
    sink.set("events", Behaviour::Fail(fault));
    for _ in 0..5 {
        // Without its charge given back, each takes a second of the quota.
        gateway.publish(EVENTS, burst.clone()).expect(503);
    }
    sink.set("events", Behaviour::Deliver);
    gateway.publish(EVENTS, burst).expect(200);
}

#[test]
fn a_request_answered_429_for_one_customer_leaves_the_quota_of_the_others() {
    let home = Home::new().set("quota.records", SLOWLY);
    let home = home.edit_directory(|text| {
        text.replace(
            "id = \"globex\"\n",
            "id = \"globex\"\nquota = { records = 1 }\n",
        )
    });
    let gateway = home.start();
    let root = gateway.token("root");
    let other = r#"{"envcustomerid":"globex"}"#;
    let burst = [RECORD; 3].join(",");
    let mut connection = gateway.connect();
    for _ in 0..5 {
        let body = format!("[{burst},{other},{other}]");
        connection.send(post(EVENTS, body).cookie(&root).bytes());
        assert_eq!(
            connection.answer().expect(429).message(),
            "The customer may never send so much at once, send less in a request",
            "the second customer is over its quota, and never the first"
        );
    }
    let body = format!("[{burst}]");
    connection.send(post(EVENTS, body).cookie(&root).bytes());
    connection.answer().expect(200);
}

#[test]
fn records_of_one_customer_between_those_of_another_count_together() {
    let home = Home::new().set("quota.records", 2);
    let gateway = home.start();
    let root = gateway.token("root");
    let other = r#"{"envcustomerid":"globex"}"#;
    let body = format!("[{RECORD},{other},{RECORD},{other},{RECORD}]");
    let mut connection = gateway.connect();
    connection.send(post(EVENTS, body).cookie(&root).bytes());
    assert_eq!(
        connection.answer().expect(429).message(),
        "The customer may never send so much at once, send less in a request"
    );
}

#[test]
fn tickets_count_like_records_and_what_is_refused_is_given_back() {
    const TICKET: &str = r#"{"state":6,"sysid":"a"}"#;
    let home = Home::new().set("quota.records", SLOWLY);
    let home = home.set("quota.bytes", "100 B");
    let gateway = home.start();
    let token = gateway.token("alice");
    let push = |query: &str, body: &str| {
        let request = post(&format!("/gbp/push/acme{query}"), body.to_owned());
        gateway.send(&request.cookie(&token))
    };
    let known = "?integrationid=servicenow-1";
    for _ in 0..20 {
        push("", TICKET).expect(400);
        push("?integrationid=none", TICKET).expect(404);
        push(known, "{").expect(400);
    }
    let large = format!(r#"{{"state":6,"sysid":"{}"}}"#, "x".repeat(100));
    push(known, &large).expect(429);
    for _ in 0..SLOWLY {
        push(known, TICKET).expect(200);
    }
    let answer = push(known, TICKET).expect(429).says_when_to_retry();
    assert_eq!(
        answer.message(),
        "The customer is over its quota, try again later"
    );
    // It comes before what is wrong with the rest of the request.
    push("", TICKET).expect(429);
    gateway.publish(EVENTS, RECORD).expect(429);
}
