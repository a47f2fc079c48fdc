//! Many records a request: all or none for the client's faults, an index for each of the sink's,
//! each record's bytes as they stood in the body, and no request in the way of another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use iem_sink::testing::{Behaviour, Predicate, ScriptedSink};
use iem_sink::{Reason, SinkError};

use iem_test_support::{Answer, Gateway, Home, Load, post};

const EVENTS: &str = "/publish/allevents/";
const ACME: &str = r#"{"envcustomerid":"acme"}"#;

fn lines_request(gateway: &Gateway, body: &str) -> Answer {
    let token = gateway.token("alice");
    gateway.send(
        &post(EVENTS, body)
            .cookie(&token)
            .header("Content-Type", "application/x-ndjson"),
    )
}

/// So many records of as many keys, `k0` first.
fn keyed(count: usize) -> Vec<String> {
    (0..count)
        .map(|key| format!(r#"{{"envcustomerid":"acme","splitby":"k{key}"}}"#))
        .collect()
}

fn array(records: &[String]) -> String {
    format!("[{}]", records.join(","))
}

/// Picks the records of these keys.
pub(super) fn of_keys(keys: &'static [&str]) -> Predicate {
    Arc::new(move |record| keys.iter().any(|key| record.key.ends_with(key)))
}

#[track_caller]
pub(super) fn check_data(gateway: &Gateway, topic: &str, expected: &[&str]) {
    let lines = gateway.home.records(topic);
    let data: Vec<_> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(&line.data).into_owned())
        .collect();
    assert_eq!(data, expected);
}

#[test]
fn each_record_is_the_bytes_that_it_was_in_the_body() {
    let gateway = Home::new().start();
    let spaced = r#"{ "envcustomerid" :	"acme" , "a" : [ 1.50 , -0 ,"\u00e4\/" ] }"#;
    let nested = r#"{"envcustomer_id":"acme","a":[{"b":"}]"},"{[\\\""],"b":1E+400,"b":{}}"#;
    gateway
        .publish(
            EVENTS,
            format!("\u{feff} [ {spaced} ,{nested}\n,\t{ACME}]\n"),
        )
        .expect(200);
    check_data(&gateway, "events", &[spaced, nested, ACME]);
    lines_request(
        &gateway,
        &format!("\u{feff}{nested}\r\n\r\n \t{spaced} \r\n{ACME}"),
    )
    .expect(200);
    check_data(
        &gateway,
        "events",
        &[spaced, nested, ACME, nested, spaced, ACME],
    );
    gateway
        .publish(EVENTS, "[{\n  \"envcustomerid\":\r\n\t\"acme\"\n}]")
        .expect(200);
    check_data(
        &gateway,
        "events",
        &[spaced, nested, ACME, nested, spaced, ACME, ACME],
    );
}

#[test]
fn a_record_has_attributes_of_its_own() {
    let gateway = Home::new().start();
    let token = gateway.token("carol");
    let body = r#"[{"envcustomerid":"acme","splitby":"a"},{"envcustomer_id":1001,"splitby":"b"},{"envcustomerid":"acme"}]"#;
    gateway.send(&post(EVENTS, body).cookie(&token)).expect(200);
    let lines = gateway.home.records("events");
    let attributes: Vec<_> = lines
        .iter()
        .map(|line| (line.attribute("customerid"), line.attribute("subject")))
        .collect();
    assert_eq!(
        attributes,
        [("acme", "acme/a"), ("1001", "1001/b"), ("acme", "acme")]
    );
    let ids: Vec<_> = lines.iter().map(|line| line.attribute("id")).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    let counted = |customer| {
        gateway.metric(
            "iem_gateway_customer_records_total",
            &[customer, "accepted"],
        )
    };
    assert_eq!(
        [counted("\"acme\""), counted("\"1001\"")].map(|count| count.to_string()),
        ["2", "1"]
    );
}

#[test]
fn nothing_of_a_request_with_a_fault_is_written() {
    let gateway = Home::new().start();
    for (bad, status) in [
        (r#"{"envcustomerid":"globex"}"#, 401),
        (r#"{"envcustomerid":"closed"}"#, 401),
        ("{}", 400),
        ("5", 400),
        (r#"{"envcustomerid":}"#, 400),
    ] {
        for at in [0, 1, 299] {
            let mut records = vec![ACME.to_owned(); 300];
            records[at] = bad.to_owned();
            for answer in [
                gateway.publish(EVENTS, array(&records)),
                lines_request(&gateway, &records.join("\n")),
            ] {
                assert_eq!(answer.expect(status).json()["record"], at);
            }
        }
    }
    check_data(&gateway, "events", &[]);
}

#[test]
fn records_of_a_key_keep_their_order() {
    let gateway = Home::new().start();
    let records: Vec<_> = (0..1000)
        .map(|number| {
            format!(
                r#"{{"envcustomerid":"acme","splitby":"k{}","n":{number}}}"#,
                number % 7
            )
        })
        .collect();
    gateway.publish(EVENTS, array(&records[..500])).expect(200);
    lines_request(&gateway, &records[500..].join("\n")).expect(200);
    check_data(
        &gateway,
        "events",
        &records.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

#[test]
fn records_that_the_sink_did_not_confirm_are_told_by_index() {
    for workers in [1, 4] {
        let sink = ScriptedSink::new();
        let home = Home::new()
            .set("topics.events.deadline", "500ms")
            .set("topics.events.workers", workers);
        let gateway = home.start_with(&sink);
        let failing = || SinkError::transient("scripted");

        sink.set(
            "events",
            Behaviour::FailSome(of_keys(&["/k3", "/k11"]), failing()),
        );
        let answer = gateway
            .publish(EVENTS, array(&keyed(16)))
            .expect(503)
            .says_when_to_retry();
        assert_eq!(
            answer.json()["failed"],
            serde_json::json!([3, 11]),
            "{answer:?}"
        );
        assert_eq!(
            answer.json()["rejected"],
            serde_json::Value::Null,
            "{answer:?}"
        );
        assert_eq!(sink.log("events").delivered.len(), 14);

        sink.set("events", Behaviour::Fail(failing()));
        let answer = gateway
            .publish(EVENTS, array(&keyed(16)))
            .expect(503)
            .says_when_to_retry();
        assert_eq!(
            answer.json().as_object().unwrap().len(),
            1,
            "none was confirmed: {answer:?}"
        );
    }
}

#[test]
fn records_that_the_sink_will_never_take_are_told_by_index() {
    for workers in [1, 4] {
        let sink = ScriptedSink::new();
        let gateway = Home::new()
            .set("topics.events.workers", workers)
            .start_with(&sink);
        let too_large = Reason::TooLarge { limit: 1 };
        sink.set(
            "events",
            Behaviour::Reject(of_keys(&["/k0", "/k15"]), too_large),
        );
        let answer = lines_request(&gateway, &keyed(16).join("\n")).expect(413);
        assert_eq!(
            answer.json()["rejected"],
            serde_json::json!([0, 15]),
            "{answer:?}"
        );
        assert_eq!(answer.json().as_object().unwrap().len(), 2, "{answer:?}");
        assert_eq!(sink.log("events").delivered.len(), 14);
    }
}

#[test]
fn failed_and_rejected_stand_side_by_side() {
    let sink = ScriptedSink::new();
    let home = Home::new()
        .set("topics.events.deadline", "500ms")
        .set("topics.events.workers", 2);
    let gateway = home.start_with(&sink);
    // One worker's write is rejected, whichever comes first; the other's fails until the end.
    sink.set("events", Behaviour::Fail(SinkError::transient("scripted")));
    sink.once(
        "events",
        Behaviour::Reject(Arc::new(|_| true), Reason::TooLarge { limit: 1 }),
    );
    let answer = gateway
        .publish(EVENTS, array(&keyed(16)))
        .expect(503)
        .says_when_to_retry();
    let indexes = |name: &str| {
        let list = answer.json()[name]
            .as_array()
            .unwrap_or_else(|| panic!("{name}: {answer:?}"))
            .clone();
        list.iter()
            .map(|index| index.as_u64().unwrap())
            .collect::<BTreeSet<_>>()
    };
    let (failed, rejected) = (indexes("failed"), indexes("rejected"));
    assert!(
        !failed.is_empty() && !rejected.is_empty() && failed.is_disjoint(&rejected),
        "{answer:?}"
    );
    assert_eq!(&failed | &rejected, (0..16).collect(), "{answer:?}");
}

#[test]
fn more_records_than_the_queue_holds_are_413() {
    let home = Home::new()
        .set("topics.events.queue_records", 8)
        .set("topics.events.batch_records", 4);
    let gateway = home.start();
    for (count, status) in [(8, 200), (9, 413), (1000, 413)] {
        for answer in [
            gateway.publish(EVENTS, array(&keyed(count))),
            lines_request(&gateway, &keyed(count).join("\n")),
        ] {
            let answer = answer.expect(status);
            assert_eq!(answer.json().as_object().unwrap().len(), 1, "{answer:?}");
            assert_eq!(
                answer.header("retry-after"),
                None,
                "sending it again will not help"
            );
        }
    }
    assert_eq!(gateway.home.records("events").len(), 16);
}

#[test]
fn large_requests_and_small_ones_go_on_together() {
    let gateway = Home::new().start();
    let load = Load::start(gateway.address, &gateway.token("alice"), "small", 4, 100);
    // The two halves are two clients': nothing says which of them comes first.
    let id = |number| {
        format!(
            "{}-{number:08}",
            if number < 3750 { "first" } else { "second" }
        )
    };
    let padding = "x".repeat(1000);
    let large: Vec<_> = (0..7500)
        .map(|number| {
            let id = id(number);
            format!(
                r#"{{"envcustomerid":"acme","splitby":"large","test_id":"{id}","a":"{padding}"}}"#
            )
        })
        .collect();
    let (half, rest) = large.split_at(large.len() / 2);
    thread::scope(|scope| {
        for part in [half, rest] {
            scope.spawn(|| gateway.publish(EVENTS, array(part)).expect(200));
        }
    });
    // A single record that takes as long, and one that is no record at its very end.
    let single = format!(
        r#"{{"envcustomerid":"acme","splitby":"large","test_id":"large-99999999","a":[{}0]}}"#,
        "0,".repeat(1 << 20)
    );
    gateway.publish(EVENTS, single).expect(200);
    let broken = array(&large).replacen("}]", "}}]", 1);
    assert_eq!(
        gateway.publish(EVENTS, broken).expect(400).json()["record"],
        large.len()
    );
    let mut ledger = load.stop();
    assert_eq!(
        ledger.answers.keys().collect::<Vec<_>>(),
        [&200],
        "every small request was taken"
    );
    ledger.published.extend((0..large.len()).map(id));
    let lines = gateway.home.records("events");
    ledger.check_against(&lines);
    assert_eq!(lines.len(), ledger.published.len() + 1);
}
