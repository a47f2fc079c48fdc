//! The attributes of a record that came as an event.

use std::time::Duration;

use iem_test_support::eventually;

use super::*;

const OTHER_TRACE: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn an_event_has_the_attributes_that_the_gateway_gives_it() {
    let gateway = Home::new().start();
    let with = |id: &str, more: &str| {
        event(id, "event", &acme("k")).replace(
            r#""id""#,
            &format!(r#""time":"1999-01-01T00:00:00Z","subject":"x","user":"eve",{more}"id""#),
        )
    };
    let own = with("a", &format!(r#""traceparent":"{TRACE}","#));
    let invalid = with("c", r#""traceparent":"x","#);
    let body = format!("[{own},{},{invalid}]", with("b", ""));
    let request = post(PATH, body)
        .cookie(&gateway.token("alice"))
        .header("Content-Type", BATCH)
        .header("traceparent", OTHER_TRACE);
    gateway.send(&request).expect(200);
    let lines = gateway.home.records("events");
    let traces: Vec<_> = lines
        .iter()
        .map(|line| line.attribute("traceparent"))
        .collect();
    assert_eq!(traces, [TRACE, OTHER_TRACE, OTHER_TRACE]);
    for line in &lines {
        assert_eq!(line.attribute("subject"), "acme/k");
        assert_eq!(line.attribute("user"), "alice@acme.example");
        assert!(line.attribute("time") > "2020");
        // It follows from the sender's source and id.
        assert_eq!(line.attribute("id").chars().nth(14), Some('8'));
    }
}

/// A journal writes what the records of a request share once.
#[test]
fn each_event_of_a_batch_has_its_own_attributes_behind_a_journal() {
    let gateway = Home::new()
        .set("topics.tickets.durability", "journaled")
        .start();
    let ticket = |id: &str, integration: &str, state: u8, trace: &str| {
        let attributes = format!(
            r#""customerid":"acme","integrationid":"{integration}","traceparent":"{trace}","id""#
        );
        let data = format!(r#"{{"state":{state},"sysid":"x"}}"#);
        event(id, "ticket", &data).replacen(r#""id""#, &attributes, 1)
    };
    let events = [
        ticket("a", "servicenow-1", 6, TRACE),
        ticket("b", "servicenow-1", 7, OTHER_TRACE),
        ticket("c", "servicenow-1", 6, TRACE),
    ];
    let request = post(PATH, format!("[{}]", events.join(",")))
        .cookie(&gateway.token("alice"))
        .header("Content-Type", BATCH);
    let answer = gateway.send(&request).expect(200);
    assert_eq!(answer.header("iem-durability"), Some("journaled"));
    eventually(Duration::from_secs(20), "they are forwarded", || {
        gateway.home.records("tickets").len() == 3
    });
    let lines = gateway.home.records("tickets");
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line.attribute("actionablestate"),
                line.attribute("traceparent"),
            )
        })
        .collect();
    let (resolved, closed) = (("resolved", TRACE), ("closed", OTHER_TRACE));
    assert_eq!(seen, [resolved, closed, resolved]);
}
