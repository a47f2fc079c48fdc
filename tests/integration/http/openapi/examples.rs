//! Every example of the document, sent to a gateway.

use iem_test_support::{Answer, Gateway, Home, Request, example, get, post};
use serde_json::Value;

use super::document::{DOCUMENT, Operation, closed, members};

/// The user of the examples.
const USER: (&str, &str) = ("nifi@example.com", "correct horse");
/// A token in an example.
const TOKEN: &str = "eyJ…";

fn gateway() -> Gateway {
    let (email, password) = USER;
    let user = format!(
        "\n[[user]]\nemail = '{email}'\nname = 'NiFi'\npassword = '{{{{hash:{password}}}}}'\n\
         superadmin = false\norganization = false\nenabled = true\ncustomers = ['acme']\n"
    );
    Home::new().edit_directory(|text| text + &user).start()
}

/// Sends a request to an operation, with the examples of its parameters.
fn send(gateway: &Gateway, operation: &Operation<'_>, content_type: &str, body: String) -> Answer {
    let mut path = operation.path.to_owned();
    let mut query = String::new();
    let mut headers = Vec::new();
    let lists = [&operation.item["parameters"], &operation.of["parameters"]];
    for parameter in lists.into_iter().filter_map(Value::as_array).flatten() {
        let parameter = DOCUMENT.resolved(parameter);
        let [name, place, value] = ["name", "in", "example"].map(|key| {
            parameter[key]
                .as_str()
                .unwrap_or_else(|| panic!("{parameter}: {key}"))
        });
        match place {
            "path" => path = path.replace(&format!("{{{name}}}"), value),
            "query" => query = format!("?{name}={value}"),
            "header" => headers.push((name, value)),
            other => panic!("a parameter in {other}"),
        }
    }
    let key = format!("of {} bytes", body.len());
    let target = path + &query;
    let mut request = match operation.method {
        "get" => get(&target),
        "post" => post(&target, body),
        other => panic!("an example of {other}"),
    };
    if !content_type.is_empty() {
        headers.push(("Content-Type", content_type));
    }
    for (name, value) in headers {
        // Each example has a key of its own, as each request of a client.
        let value = if name == "Idempotency-Key" {
            &key
        } else {
            value
        };
        request = request.header(name, value);
    }
    gateway.send(&authorized(gateway, operation, request))
}

/// Adds the first credentials that the operation takes.
fn authorized(gateway: &Gateway, operation: &Operation<'_>, request: Request) -> Request {
    let (email, password) = USER;
    let security = operation.of["security"][0].as_object();
    let scheme = security.and_then(|scheme| scheme.keys().next());
    match scheme.map(String::as_str) {
        None => request,
        // The examples of forms have them in the form.
        Some("basic") if operation.path.starts_with("/oauth2/") => request,
        Some("basic") => request.basic(email, password),
        Some("accessTokenCookie") => {
            request.cookie(&gateway.log_in(email, password).access_token())
        }
        Some(other) => panic!("{} first takes {other}", operation.name()),
    }
}

/// Returns the body of an example, with fresh tokens in it.
fn body(gateway: &Gateway, content_type: &str, example: &Value) -> String {
    let token = gateway.log_in(USER.0, USER.1).refresh_token();
    match content_type {
        "application/x-www-form-urlencoded" => {
            let fields = members(example).map(|(name, value)| {
                let value = value.as_str().expect("a field of a form is text");
                (name, value.replace(TOKEN, &token))
            });
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields)
                .finish()
        }
        "application/x-ndjson" => example.as_str().expect("lines are text").to_owned(),
        _ => example.to_string().replace(TOKEN, &token),
    }
}

#[test]
fn every_example_of_a_request_is_answered_200_as_documented() {
    let gateway = gateway();
    let mut sent = 0;
    let mut faults = Vec::new();
    for operation in DOCUMENT.operations() {
        let mut check = |content_type: &str, name: &str, body: String| {
            let answer = send(&gateway, &operation, content_type, body);
            let mut found = DOCUMENT.answer_faults(&operation, &answer);
            if answer.status != 200 {
                found.push(format!("{answer:?}"));
            }
            faults.extend(
                found
                    .iter()
                    .map(|it| format!("{} {name}: {it}", operation.name())),
            );
            sent += 1;
        };
        let Some(request) = operation.of.get("requestBody") else {
            check("", "without a body", String::new());
            continue;
        };
        for (content_type, media) in members(&DOCUMENT.resolved(request)["content"]) {
            let count = members(&media["examples"]).count();
            assert!(count > 0, "{}: {content_type}", operation.name());
            for (name, example) in members(&media["examples"]) {
                let example = &DOCUMENT.resolved(example)["value"];
                check(content_type, name, body(&gateway, content_type, example));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(sent > 20, "{sent} examples");
}

#[test]
fn every_example_is_valid_by_its_schema() {
    let components = &DOCUMENT.root["components"];
    let mut faults = Vec::new();
    let mut checked = 0;
    for (is_answer, place) in [(false, "requestBodies"), (true, "responses")] {
        for (name, component) in members(&components[place]) {
            for (_, media) in members(&component["content"]) {
                for (example, value) in members(&media["examples"]) {
                    let value = &DOCUMENT.resolved(value)["value"];
                    let schema = if is_answer {
                        closed(&media["schema"])
                    } else {
                        media["schema"].clone()
                    };
                    let found = DOCUMENT.faults(&schema, value);
                    faults.extend(found.iter().map(|it| format!("{name} {example}: {it}")));
                    checked += 1;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 30, "{checked} examples");
}

#[test]
fn the_examples_of_records_are_those_of_the_kinds() {
    let examples = &DOCUMENT.root["components"]["examples"];
    for kind in [
        "Event",
        "Metric",
        "Entity",
        "Service",
        "Healthcheck",
        "Ticket",
    ] {
        let record = example(&kind.to_lowercase()).expect("an example");
        let record: Value = serde_json::from_str(record).expect("it is JSON");
        assert_eq!(examples[kind]["value"], record, "{kind}");
    }
}
