//! The OpenAPI document against the gateway: its operations are the routes, and it describes every
//! request and every answer of the contract's cases.

mod document;
mod examples;
mod sent;
mod validity;

use std::collections::BTreeSet;

use iem_gateway::testing::Route;
use iem_test_support::{Answer, Case, Connection, Gateway, Home, get, issued_tokens, post};

use super::contract::{BASIC_FILE, FILES, expand};
use document::{DOCUMENT, TEXT};
use sent::Sent;

#[test]
fn the_document_is_served_to_everybody() {
    let gateway = Home::new().start();
    for path in ["/openapi.json", "/openapi.json/"] {
        for answer in [
            gateway.send(&get(path)),
            gateway.send(&get(path).cookie("no")),
            gateway.http2().send(get(path).bytes()),
        ] {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            answer.expect(200).body_is(TEXT);
        }
        let answer = gateway.send(&post(path, "")).expect(405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    let mut connection = gateway.connect();
    let answer = connection.send("HEAD /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n");
    let answer = answer.answer_to_head().expect(200);
    let length = TEXT.len().to_string();
    assert_eq!(answer.header("content-length"), Some(&*length));
    let count = gateway.metric("iem_gateway_requests_total", &["openapi", "200"]);
    assert!((count - 7.0).abs() < 1e-9, "{count}");
}

#[test]
fn a_client_that_has_the_document_is_answered_304() {
    let gateway = Home::new().start();
    let served = gateway.send(&get("/openapi.json")).expect(200);
    let tag = served.header("etag").expect("it has an entity tag");
    for tags in [tag, "*", &format!("\"other\", W/{tag}")] {
        let request = get("/openapi.json").header("If-None-Match", tags);
        for answer in [
            gateway.send(&request),
            gateway.http2().send(request.bytes()),
        ] {
            assert_eq!(answer.header("etag"), Some(tag), "{tags}");
            answer.expect(304).body_is("");
        }
    }
    let request = get("/openapi.json").header("If-None-Match", "\"other\"");
    gateway.send(&request).expect(200).body_is(TEXT);
}

#[test]
fn the_operations_are_the_routes() {
    let documented: BTreeSet<_> = DOCUMENT
        .operations()
        .iter()
        .map(|it| {
            (
                it.method.to_uppercase(),
                it.path.trim_end_matches('/').to_owned(),
            )
        })
        .collect();
    let served: BTreeSet<_> = Route::operations()
        .into_iter()
        .map(|(method, path)| (method.to_string(), path))
        .collect();
    assert_eq!(documented, served);
}

#[test]
fn each_operation_reaches_its_endpoint() {
    let gateway = Home::new().start();
    for operation in DOCUMENT.operations() {
        let path = operation.path.replace("{customerid}", "acme");
        for path in [
            path.trim_end_matches('/'),
            &format!("{}/", path.trim_end_matches('/')),
        ] {
            let answer = gateway.send(&match operation.method {
                "get" => get(path),
                _ => post(path, ""),
            });
            assert!(![404, 405].contains(&answer.status), "{path}: {answer:?}");
            let faults = DOCUMENT.answer_faults(&operation, &answer);
            assert!(faults.is_empty(), "{path}: {faults:?}\n{answer:?}");
        }
    }
}

/// The cases of the contract that have been held against the document.
#[derive(Default)]
struct Checked {
    answers: usize,
    bodies: usize,
    faults: Vec<String>,
}

impl Checked {
    /// Sends every case of a file.
    fn file(&mut self, gateway: &Gateway, file: &str) {
        for case in Case::parse_file(file) {
            let request = &case.requests(expand)[0];
            let mut connection = Connection::open(gateway.address);
            connection.send(request);
            let answer = if case.is_head() {
                connection.answer_to_head()
            } else {
                connection.answer()
            };
            let Some(sent) = Sent::parse(request) else {
                continue;
            };
            let mut faults = Vec::new();
            match DOCUMENT.operation(sent.method, sent.path) {
                Some(operation) => {
                    faults.extend(DOCUMENT.answer_faults(&operation, &answer));
                    if answer.status == 200
                        && let Some(found) = sent.faults(&operation)
                    {
                        faults.extend(found);
                        self.bodies += 1;
                    }
                }
                None => faults.extend(undocumented(&sent, &answer)),
            }
            self.answers += 1;
            let faults = faults.iter().map(|it| format!("{}: {it}", case.name));
            self.faults.extend(faults);
        }
    }
}

/// Lists what is wrong with the answer to a request that reaches no operation.
fn undocumented(sent: &Sent<'_>, answer: &Answer) -> Vec<String> {
    let (status, name) = if DOCUMENT.has_path(sent.path) {
        (405, "MethodNotAllowed")
    } else {
        (404, "NotFound")
    };
    if answer.status != status {
        return vec![format!("{} instead of {status}", answer.status)];
    }
    let response = &DOCUMENT.root["components"]["responses"][name];
    DOCUMENT.response_faults(response, answer)
}

#[test]
fn every_case_of_the_contract_is_as_documented() {
    let mut checked = Checked::default();
    for file in FILES {
        checked.file(&issued_tokens::home().start(), file);
    }
    let takes_basic = issued_tokens::home().set("server.basic", true).start();
    checked.file(&takes_basic, BASIC_FILE);
    let Checked {
        answers,
        bodies,
        faults,
    } = checked;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        answers > 400 && bodies > 100,
        "{answers} answers, {bodies} bodies"
    );
}
