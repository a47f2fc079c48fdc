//! Who may see and change what on the admin listener: each page for each kind of visitor, the log-in
//! of browsers and the ends of their sessions, requests that other sites cause, and guesses.

mod places;
mod secure;
mod sessions;
mod visitors;

use iem_test_support::{Answer, Connection, Gateway, Home, email};

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a request to the admin listener, by the host that it has for a browser on this machine.
pub(super) fn ask(
    gateway: &Gateway,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    ask_with_body(gateway, method, target, headers, "")
}

fn ask_with_body(
    gateway: &Gateway,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut connection = Connection::open(gateway.admin);
    connection.send(request(method, target, headers, body));
    if method == "HEAD" {
        connection.answer_to_head()
    } else {
        connection.answer()
    }
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let is_host = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case("host");
    let host = headers.iter().find(is_host).is_none();
    let host = if host { "Host: 127.0.0.1\r\n" } else { "" };
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = lines.collect::<Vec<_>>().concat();
    let length = if method == "POST" {
        format!("Content-Length: {}\r\n", body.len())
    } else {
        String::new()
    };
    format!("{method} {target} HTTP/1.1\r\n{host}{headers}{length}\r\n{body}")
}

/// Sends a form.
pub(super) fn post_form(
    gateway: &Gateway,
    target: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Answer {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let headers = [&[("Content-Type", FORM)], headers].concat();
    ask_with_body(gateway, "POST", target, &headers, &fields.join("&"))
}

/// Encodes each byte for a form.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
    bytes.collect::<Vec<_>>().concat()
}

/// Logs in as a browser does.
fn log_in(gateway: &Gateway, user: &str, password: &str) -> Answer {
    post_form(
        gateway,
        "/login",
        &[],
        &[("email", user), ("password", password)],
    )
}

/// Returns the cookie that an answer sets, as a browser sends it back.
#[track_caller]
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().expect("a pair").to_owned()
}

/// Logs root in, and returns its cookie.
#[track_caller]
pub(super) fn roots_cookie(gateway: &Gateway) -> String {
    cookie(&log_in(gateway, email("root"), "root-password").expect(303))
}

/// Asks who has logged in.
fn session(gateway: &Gateway, cookie: &str) -> Answer {
    ask(gateway, "GET", "/session", &[("Cookie", cookie)])
}

/// Returns the token with which pages of this session ask for a change.
#[track_caller]
fn csrf(gateway: &Gateway, cookie: &str) -> String {
    let session = session(gateway, cookie).expect(200).json();
    session["csrf"].as_str().expect("a token").to_owned()
}

/// A gateway that asks for a log-in on loopback, too.
fn guarded() -> Home {
    Home::new().set("admin.login", "always")
}
