//! The contract, row by row, from the files of raw requests in `tests/data/contract/`. Each file is
//! one test with a gateway of its own; each case runs with and without the path's trailing slash.

use std::time::Duration;

use iem_test_support::{After, Case, Connection, Gateway, issued_tokens, placeholder};

macro_rules! contract {
    ($($name:ident: $file:literal),* $(,)?) => {
        /// Every file of cases.
        pub(crate) const FILES: &[&str] = &[$(include_str!(concat!("../../data/contract/", $file))),*];

        $(
            #[test]
            fn $name() {
                let gateway = issued_tokens::home().start();
                let file = include_str!(concat!("../../data/contract/", $file));
                answers_as_expected(&gateway, file);
            }
        )*
    };
}

contract! {
    token: "token.http",
    refresh: "refresh.http",
    oauth: "oauth.http",
    access: "access.http",
    order_of_checks: "order.http",
    records_and_kinds: "record.http",
    customer_field: "customer.http",
    refused_bodies: "refused.http",
    many_records: "many.http",
    encodings: "encodings.http",
    idempotency: "idempotency.http",
    routes: "routes.http",
    tickets: "tickets.http",
    cloudevents: "cloudevents.http",
    alertmanager: "alertmanager.http",
}

/// The cases of a gateway that takes Basic in place of a token.
pub(crate) const BASIC_FILE: &str = include_str!("../../data/contract/basic.http");

#[test]
fn basic_in_place_of_a_token() {
    let gateway = issued_tokens::home().set("server.basic", true).start();
    answers_as_expected(&gateway, BASIC_FILE);
}

/// Fails the test unless the gateway answers every case of the file as it is written there.
pub(crate) fn answers_as_expected(gateway: &Gateway, file: &str) {
    let cases = Case::parse_file(file);
    assert!(!cases.is_empty(), "a file without a case shows nothing");
    let failures: Vec<String> = cases
        .iter()
        .flat_map(|case| failures(gateway, case))
        .collect();
    assert!(
        failures.is_empty(),
        "{} failures:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn failures(gateway: &Gateway, case: &Case) -> Vec<String> {
    let requests = case.requests(expand);
    requests
        .iter()
        .flat_map(|request| {
            [
                failure(gateway, case, request),
                failure_over_http2(gateway, case, request),
            ]
        })
        .flatten()
        .collect()
}

/// The same request over HTTP/2, where it can be said there: the answer is the same.
fn failure_over_http2(gateway: &Gateway, case: &Case, request: &[u8]) -> Option<String> {
    let answer = gateway.http2().try_send(request)?;
    let faults = match &answer {
        Ok(answer) => case.faults(answer),
        Err(error) => vec![format!("no answer: {error}")],
    };
    (!faults.is_empty()).then(|| {
        format!(
            "{} over HTTP/2\n  {}\n{answer:?}",
            case.name,
            faults.join("\n  ")
        )
    })
}

fn failure(gateway: &Gateway, case: &Case, request: &[u8]) -> Option<String> {
    let mut connection = Connection::open(gateway.address);
    connection.send(request);
    let answer = if case.is_head() {
        Ok(Some(connection.answer_to_head()))
    } else {
        connection.try_answer()
    };
    let mut faults = match &answer {
        Ok(Some(answer)) => case.faults(answer),
        Ok(None) => vec!["the connection ended without an answer".to_owned()],
        Err(error) => vec![format!("no answer: {error}")],
    };
    if faults.is_empty() {
        match case.after() {
            After::Open if !connection.is_usable() => {
                faults.push("the connection serves no other request".to_owned());
            }
            After::Closed if !connection.ends(Duration::from_secs(10)) => {
                faults.push("the connection does not end in order".to_owned());
            }
            _ => {}
        }
    }
    let line = String::from_utf8_lossy(request)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    (!faults.is_empty()).then(|| {
        format!(
            "{}\n  {line}\n  {}\n{answer:?}",
            case.name,
            faults.join("\n  ")
        )
    })
}

/// Replaces each `{{name:arguments}}` by what it stands for.
pub(crate) fn expand(text: &str) -> Vec<u8> {
    let mut parts = text.split("{{");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (placeholder, rest) = part.split_once("}}").expect("a placeholder ends");
        let (name, arguments) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        bytes.extend(value_of(name, arguments));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

fn value_of(name: &str, arguments: &str) -> Vec<u8> {
    placeholder(name, arguments, usize::MAX)
        .unwrap_or_else(|| issued_tokens::issued(name, arguments).into_bytes())
}
