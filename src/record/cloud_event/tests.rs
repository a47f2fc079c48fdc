//! Tests of reading events of `CloudEvents`.

use super::*;
use crate::record::BodyFault;

const EVENT: &str = concat!(
    r#"{"specversion":"1.0","id":"a","source":"s","type":"iem.event","#,
    r#""data":{"envcustomerid":"acme","splitby":"k"}}"#
);

fn keys() -> KeyFields {
    KeyFields::from_iter(["splitby", "sysid"])
}

/// Returns the event with `from` replaced.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    let event = EVENT.replace(from, to);
    assert_ne!(event, EVENT, "{from}");
    event
}

/// Reads an event and its data as both ways do.
fn read(event: &str) -> Result<EventRecord, Malformed> {
    let event = CloudEvent::from_json(event.as_bytes())?;
    let data = match &event.data {
        EventData::Body(data) | EventData::Json(data) => *data,
        EventData::Base64(text) => text.as_bytes(),
    };
    let record = event.read(data, &keys(), false);
    assert_eq!(record, event.read(data, &keys(), true));
    record
}

#[track_caller]
fn check_fault(event: &str, expected: EventFault) {
    assert_eq!(read(event), Err(expected.into()), "{event}");
}

#[test]
fn the_data_is_the_slice_that_it_was() {
    let data = "{ \"envcustomerid\" :\t\"acme\",\"n\":[1.50,1e400,-0],\"s\":\"\\u00e4\\/\" }";
    let event = with(
        r#"{"envcustomerid":"acme","splitby":"k"}"#,
        &format!(" {data} "),
    );
    let event = CloudEvent::from_json(event.as_bytes()).expect("an event");
    assert_eq!(event.data, EventData::Json(data.as_bytes()));
    assert_eq!(
        (&*event.id, &*event.source, event.kind),
        ("a", "s", Kind::Event)
    );
    let record = event
        .read(data.as_bytes(), &keys(), false)
        .expect("a record");
    assert_eq!(event.customer(&record), "acme");
}

#[test]
fn attributes_may_be_escaped_and_others_are_ignored() {
    let event = concat!(
        r#"{"ext":{"id":1},"speCversion":0,"\u0069d":"\u0061\n","specversion":"1.0","#,
        r#""source":"/s","type":"iem.metric","time":"x","subject":null,"customerid":null,"#,
        r#""datacontenttype":null,"#,
        r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{}}"#
    );
    let event = CloudEvent::from_json(event.as_bytes()).expect("an event");
    assert_eq!((&*event.id, event.kind), ("a\n", Kind::Metric));
    assert!(event.traceparent().is_some());
    assert_eq!(event.integration(), None);
}

#[test]
fn every_required_attribute_is_missed_by_its_name() {
    for (member, name) in [
        (r#""specversion":"1.0","#, "specversion"),
        (r#""id":"a","#, "id"),
        (r#""source":"s","#, "source"),
        (r#""type":"iem.event","#, "type"),
    ] {
        check_fault(&with(member, ""), EventFault::Missing { name });
        let (_, value) = member.split_once(':').expect("a member");
        let value = value.trim_end_matches(',');
        check_fault(&with(value, "null"), EventFault::Missing { name });
        for bad in [r#""""#, "1", "true", "{}", r#""\ud800""#] {
            check_fault(&with(value, bad), EventFault::NotText { name });
        }
    }
    check_fault(
        &with(r#","data":{"envcustomerid":"acme","splitby":"k"}"#, ""),
        EventFault::Missing { name: "data" },
    );
}

#[test]
fn version_type_and_media_type_must_be_known() {
    check_fault(
        &with("1.0", "0.3"),
        EventFault::Version {
            name: "specversion",
        },
    );
    for kind in ["iem.Event", "event", "com.example.x"] {
        check_fault(
            &with("iem.event", kind),
            EventFault::UnknownType { name: "type" },
        );
    }
    for bad in [
        r#""text/xml""#,
        r#""application/jsonx""#,
        r#""json""#,
        r#""""#,
        "1",
    ] {
        check_fault(
            &with(r#""id""#, &format!(r#""datacontenttype":{bad},"id""#)),
            EventFault::ContentType {
                name: "datacontenttype",
            },
        );
    }
    for good in [
        "application/json",
        "Application/JSON ; charset=utf-8",
        "application/x.y+json",
    ] {
        let event = with(r#""id""#, &format!(r#""datacontenttype":"{good}","id""#));
        assert!(read(&event).is_ok(), "{good}");
    }
}

#[test]
fn the_unknown_type_is_told_all_types() {
    assert_eq!(
        EventFault::UnknownType { name: "type" }.to_string(),
        "`type` must be iem.event, iem.metric, iem.entity, iem.service, iem.healthcheck or \
         iem.ticket"
    );
}

#[test]
fn nothing_that_counts_may_come_twice() {
    for (member, name) in [
        (r#""type":"iem.event""#, "type"),
        (r#""t\u0079pe":null"#, "type"),
        (r#""data":{}"#, "data"),
        (r#""subject":"a","subject":"a""#, "subject"),
        (r#""customerid":"acme","customerid":"acme""#, "customerid"),
        (r#""data_base64":null,"data_base64":null"#, "data_base64"),
    ] {
        check_fault(
            &with(r#""id""#, &format!(r#"{member},"id""#)),
            EventFault::Repeated { name },
        );
    }
    check_fault(
        &with(r#""id""#, r#""data_base64":"e30=","id""#),
        EventFault::TwoData,
    );
}

#[test]
fn the_customer_is_the_records_own() {
    for good in [r#""acme""#, r#""\u0061cme""#] {
        let event = with(r#""id""#, &format!(r#""customerid":{good},"id""#));
        assert!(read(&event).is_ok(), "{good}");
    }
    let number = with(r#""acme""#, "1001").replace(r#""id""#, r#""customerid":1001,"id""#);
    assert!(read(&number).is_ok());
    let name = "customerid";
    check_fault(
        &with(r#""id""#, r#""customerid":"globex","id""#),
        EventFault::OtherCustomer { name },
    );
    for bad in [r#""""#, "1.0", "-1", "true", "[]"] {
        check_fault(
            &with(r#""id""#, &format!(r#""customerid":{bad},"id""#)),
            EventFault::NotAnIdentifier { name },
        );
    }
}

#[test]
fn data_has_the_faults_of_a_record() {
    let data = r#"{"envcustomerid":"acme","splitby":"k"}"#;
    for bad in ["[]", "1", r#""a""#, "[{}]"] {
        check_fault(&with(data, bad), EventFault::NotARecord);
    }
    assert_eq!(read(&with(data, "{}")), Err(Malformed::CustomerMissing));
    assert_eq!(
        read(&with(data, r#"{"EnvCustomerId":"acme"}"#)),
        Err(Malformed::CustomerLookAlike)
    );
}

#[test]
fn a_ticket_takes_customer_and_integration_from_its_attributes() {
    let ticket = concat!(
        r#"{"specversion":"1.0","id":"a","source":"s","type":"iem.ticket","customerid":"acme","#,
        r#""integrationid":"snow","data":{"state":6,"sysid":"x"}}"#
    );
    let event = CloudEvent::from_json(ticket.as_bytes()).expect("an event");
    assert_eq!(event.integration(), Some("snow"));
    let record = read(ticket).expect("a ticket");
    assert_eq!(event.customer(&record), "acme");
    assert!(matches!(record, EventRecord::Ticket(update) if update.state == 6));
    for (member, name) in [
        (r#""customerid":"acme","#, "customerid"),
        (r#""integrationid":"snow","#, "integrationid"),
    ] {
        check_fault(
            &ticket.replace(member, ""),
            EventFault::TicketWithout { name },
        );
    }
    check_fault(
        &ticket.replace(r#""state""#, r#""envcustomerid":"globex","state""#),
        EventFault::OtherCustomer { name: "customerid" },
    );
    assert_eq!(
        read(&ticket.replace('6', "null")),
        Err(Malformed::TicketState)
    );
}

#[test]
fn encoded_data_is_left_encoded() {
    let data = r#""data":{"envcustomerid":"acme","splitby":"k"}"#;
    let event = with(data, r#""data_base64":"e30\u003d""#);
    let event = CloudEvent::from_json(event.as_bytes()).expect("an event");
    assert_eq!(event.data, EventData::Base64("e30=".into()));
    for bad in ["1", "{}", "[]"] {
        check_fault(
            &with(data, &format!(r#""data_base64":{bad}"#)),
            EventFault::Base64,
        );
    }
    for (text, fault) in [
        ("", EventFault::Base64.into()),
        ("[]", EventFault::Base64.into()),
        ("{", EventFault::Base64.into()),
        ("{}", Malformed::CustomerMissing),
    ] {
        assert_eq!(event.read(text.as_bytes(), &keys(), false), Err(fault));
    }
}

#[test]
fn headers_are_the_attributes_of_binary_mode() {
    let headers = |type_: &str, content_type: Option<&str>| {
        let values = [
            Some("1.0"),
            Some("a"),
            Some("s"),
            Some(type_),
            content_type,
            None,
            None,
            None,
        ];
        CloudEvent::from_headers(values.map(|value| value.map(str::to_owned)), b"[]")
    };
    let event = headers("iem.event", Some("application/json")).expect("an event");
    assert_eq!(event.data, EventData::Body(b"[]"));
    assert_eq!(
        event.read(b"[]", &keys(), false),
        Err(Malformed::NotAnObject)
    );
    assert_eq!(
        headers("x", None),
        Err(EventFault::UnknownType { name: "ce-type" }.into())
    );
    let fault = headers("iem.event", Some("text/plain")).expect_err("a fault");
    assert!(fault.to_string().starts_with("`content-type`"), "{fault}");
    assert_eq!(
        CloudEvent::from_headers([const { None }; ATTRIBUTE_COUNT], b"{}"),
        Err(EventFault::Missing {
            name: "ce-specversion"
        }
        .into())
    );
}

#[test]
fn a_body_holds_one_event_or_many() {
    let check = |body: &str, form, expected: Result<(usize, bool), Option<usize>>| {
        let found = cloud_events(body.as_bytes(), form, 3);
        let found = match found {
            Ok(CloudEvents {
                events,
                fault: None,
                indexed,
            }) => Ok((events.len(), indexed)),
            Ok(CloudEvents {
                fault: Some(BodyFault::Malformed { record, .. }),
                events,
                ..
            }) => {
                assert_eq!(record, Some(events.len()), "{body}");
                Err(record)
            }
            Err(BodyFault::Malformed { record, .. }) => Err(record),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{body}");
    };
    let bad = with("1.0", "0.3");
    check(EVENT, EventForm::Structured, Ok((1, false)));
    check(&format!("[{EVENT}]"), EventForm::Structured, Err(None));
    check(
        &format!(" [{EVENT} ,{EVENT}]"),
        EventForm::Batch,
        Ok((2, true)),
    );
    check(
        &format!("\r\n{EVENT}\r\n\n {EVENT}\n"),
        EventForm::Lines,
        Ok((2, true)),
    );
    check(EVENT, EventForm::Batch, Err(None));
    check("[]", EventForm::Batch, Err(None));
    check(" ", EventForm::Batch, Err(None));
    check("\n \n", EventForm::Lines, Err(None));
    check(
        &format!("[{EVENT},{bad},1]"),
        EventForm::Batch,
        Err(Some(1)),
    );
    check(
        &format!("{EVENT}\n{bad}\n1"),
        EventForm::Lines,
        Err(Some(1)),
    );
    // The grammar of the whole body comes first.
    check(
        &format!("{bad}\n{EVENT}\n{{"),
        EventForm::Lines,
        Err(Some(2)),
    );
    check(&format!("[{bad},{{}},{{]"), EventForm::Batch, Err(Some(2)));
    let four = [EVENT; 4];
    for (body, form) in [
        (format!("[{}]", four.join(",")), EventForm::Batch),
        (four.join("\n"), EventForm::Lines),
    ] {
        assert_eq!(
            cloud_events(body.as_bytes(), form, 3),
            Err(BodyFault::TooMany)
        );
    }
}

#[test]
fn the_events_of_a_small_body_take_no_more_than_is_set_aside() {
    assert!(size_of::<CloudEvent<'_>>() <= 192);
    let small =
        r#"{"specversion":"1.0","id":"a","source":"a","type":"iem.event","data_base64":""}"#;
    assert_eq!(small.len(), 79);
    let body = format!("[{}]", [small; 3].join(","));
    let found = cloud_events(body.as_bytes(), EventForm::Batch, 3).expect("events");
    assert_eq!(found.events.len(), 3);
    assert_eq!(found.events.capacity(), 3);
}
