//! The contract, row by row, from the files of raw requests in `tests/data/contract/`. Each file is
//! one test with a gateway of its own; each case runs with and without the path's trailing slash.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::harness::{After, Case, Connection, Gateway, Home, email, encoded, post};

macro_rules! contract {
    ($($name:ident: $file:literal),* $(,)?) => {
        /// Every file of cases.
        pub(crate) const FILES: &[&str] = &[$(include_str!(concat!("../../data/contract/", $file))),*];

        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("../../data/contract/", $file)));
            }
        )*
    };
}

contract! {
    token: "token.http",
    refresh: "refresh.http",
    access: "access.http",
    order_of_checks: "order.http",
    records_and_kinds: "record.http",
    customer_field: "customer.http",
    refused_bodies: "refused.http",
    many_records: "many.http",
    encodings: "encodings.http",
    routes: "routes.http",
    tickets: "tickets.http",
}

fn check(file: &str) {
    let gateway = home().start();
    answers_as_expected(&gateway, file);
}

/// A home for gateways that know the tokens of the cases.
pub(crate) fn home() -> Home {
    TOKENS.home().set("server.max_body", "64 KiB")
}

/// A token in one of the states that the cases know, which gateways of [`home`] take as theirs.
pub(crate) fn issued(state: &str, user: &str) -> String {
    TOKENS.get(state, user)
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
fn expand(text: &str) -> Vec<u8> {
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
    match name {
        "basic" => STANDARD.encode(arguments).into_bytes(),
        "basic-latin-1" => {
            let latin_1 = arguments
                .chars()
                .map(|letter| u8::try_from(letter).expect("a Latin-1 letter"));
            STANDARD.encode(latin_1.collect::<Vec<u8>>()).into_bytes()
        }
        "hex" => {
            let digits =
                |at: usize| u8::from_str_radix(&arguments[at..at + 2], 16).expect("hexadecimal");
            (0..arguments.len()).step_by(2).map(digits).collect()
        }
        "repeat" => {
            let (times, text) = arguments.split_once(':').expect("{{repeat:TIMES:TEXT}}");
            text.repeat(times.parse().expect("a number of times"))
                .into_bytes()
        }
        // A placeholder cannot hold its own end.
        "closing-braces" => "}"
            .repeat(arguments.parse().expect("a number of times"))
            .into_bytes(),
        "example" => example(arguments),
        "gzip" | "zlib" | "deflate" | "zstd" => encoded(name, &plain(arguments)),
        token => TOKENS.get(token, arguments).into_bytes(),
    }
}

fn example(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/data/examples/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).expect("an example")
}

/// A body before it is compressed: an example, or one of these.
fn plain(name: &str) -> Vec<u8> {
    let record = r#"{"envcustomerid":"acme"}"#;
    match name {
        "space" => b" ".to_vec(),
        "lines" => format!("{record}\n{record}\n").into_bytes(),
        "array" => format!("[{record},{record}]").into_bytes(),
        "large" => format!("{record}{}", " ".repeat(64 << 10)).into_bytes(),
        example_name => example(example_name),
    }
}

/// Tokens in every state, made once: issued by gateways that have ended since, with the key that
/// the tests' gateways share, which is all that gateways have to share.
static TOKENS: LazyLock<Tokens> = LazyLock::new(Tokens::issue);

struct Tokens {
    key: Vec<u8>,
    issued: HashMap<String, String>,
}

impl Tokens {
    fn issue() -> Self {
        // Everybody may call, until the tests' own directory says otherwise.
        let all_may = |text: String| {
            text.replace("organization = true", "organization = false")
                .replace("enabled = false", "enabled = true")
        };
        let home = Home::new().edit_directory(all_may);
        let mut issued = HashMap::new();
        {
            let brief = home
                .clone()
                .set("tokens.access_lifetime", "1s")
                .set("tokens.refresh_lifetime", "1s")
                .start();
            add(&mut issued, &brief, "expired", "alice");
            add(&mut issued, &brief, "expired", "org");
        }
        {
            let lasting = home
                .clone()
                .set("tokens.access_lifetime", "1h")
                .set("tokens.refresh_lifetime", "24h")
                .start();
            for user in ["alice", "bob", "carol", "root", "org", "off"] {
                add(&mut issued, &lasting, "token", user);
            }
        }
        add(&mut issued, &Home::new().start(), "foreign", "alice");
        let key = std::fs::read(home.path("token.key")).expect("the key file made on first start");
        // An expiry holds whole seconds and has no leeway.
        thread::sleep(Duration::from_millis(2100));
        Self { key, issued }
    }

    fn home(&self) -> Home {
        let home = Home::new();
        home.write_secret("token.key", &self.key);
        home
    }

    fn get(&self, state: &str, user: &str) -> String {
        let issued = |state: &str| {
            self.issued
                .get(&format!("{state}:{user}"))
                .unwrap_or_else(|| panic!("no {state} of {user}"))
                .clone()
        };
        let access = || issued("token");
        match state {
            "alg-none" => {
                let parts: Vec<_> = access().split('.').map(str::to_owned).collect();
                format!(
                    "{}.{}.",
                    URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
                    parts[1]
                )
            }
            "alg-none-signed" => {
                let parts: Vec<_> = access().split('.').map(str::to_owned).collect();
                format!(
                    "{}.{}.{}",
                    URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
                    parts[1],
                    parts[2]
                )
            }
            "unsigned" => access().rsplit_once('.').expect("three parts").0.to_owned(),
            "cut" => access()[..access().len() - 5].to_owned(),
            "promoted" => {
                let parts: Vec<_> = access().split('.').map(str::to_owned).collect();
                let claims = URL_SAFE_NO_PAD
                    .decode(&parts[1])
                    .expect("claims in base64url");
                let claims = String::from_utf8(claims).expect("claims are text");
                let promoted = claims.replace(email(user), email("root"));
                assert_ne!(claims, promoted, "the claims name the user");
                format!(
                    "{}.{}.{}",
                    parts[0],
                    URL_SAFE_NO_PAD.encode(promoted),
                    parts[2]
                )
            }
            state => issued(state),
        }
    }
}

/// Logs `user` in, and keeps the pair as `<state>:<user>` and `<state>-refresh:<user>`.
fn add(issued: &mut HashMap<String, String>, gateway: &Gateway, state: &str, user: &str) {
    let login = post("/api/v1/user/token", "").basic(email(user), &format!("{user}-password"));
    let answer = gateway.send(&login).expect(200);
    issued.insert(format!("{state}:{user}"), answer.access_token());
    issued.insert(format!("{state}-refresh:{user}"), answer.refresh_token());
}
