//! The admin listener: is it alive, is it ready, and what has it counted.

use std::fs;
use std::time::Duration;

use iem_sink::SinkError;
use iem_sink::testing::{Behaviour, ScriptedSink};

use iem_test_support::{AMPLE, Connection, Home, eventually, get, post};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

#[test]
fn a_running_gateway_is_alive_and_ready() {
    let gateway = Home::new().start();
    gateway.admin("/livez").expect(200);
    gateway.admin("/readyz").expect(200);
    gateway.admin("/readyz?sinks").expect(200);
    gateway.admin("/livez/nothing").expect(404);
    gateway.admin("/nothing").expect(404);
    // The front is another listener.
    gateway.send(&get("/readyz")).expect(404);
}

#[test]
fn a_sink_that_is_down_is_named_and_readiness_returns_with_it() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    eventually(Duration::from_secs(10), "ready", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    sink.set_check(Some(SinkError::transient("the scripted sink is away")));
    eventually(Duration::from_secs(20), "not ready", || {
        gateway.admin("/readyz?sinks").status == 503
    });
    let answer = gateway.admin("/readyz?sinks").expect(503);
    assert!(answer.text().contains("file"), "which sink: {answer:?}");
    // Load balancers go on sending: other topics may work, and 503 is an answer too.
    let reasons = gateway.admin("/readyz").expect(200).json();
    assert_eq!(reasons["ready"], true);
    assert_eq!(reasons["reasons"], answer.json()["reasons"]);
    gateway.admin("/livez").expect(200);
    sink.set_check(None);
    eventually(Duration::from_secs(20), "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });
}

#[test]
fn a_directory_that_is_not_in_use_is_told_and_keeps_no_traffic_away() {
    let home = Home::new();
    let gateway = home.start();
    let good = fs::read_to_string(home.path("directory.toml")).expect("a directory");
    fs::write(home.path("directory.toml"), "[[user]]\nemail = 'secret'\n").expect("written");
    eventually(Duration::from_secs(10), "the fault is told", || {
        let page = gateway.admin("/readyz").expect(200);
        page.text().contains("directory.toml")
    });
    let page = gateway.admin("/readyz?sinks").expect(200);
    assert_eq!(page.json()["ready"], true);
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    fs::write(home.path("directory.toml"), good).expect("written");
    eventually(Duration::from_secs(10), "nothing is wrong", || {
        gateway.admin("/readyz").json()["reasons"] == serde_json::json!([])
    });
}

#[test]
fn a_page_shows_every_operation_and_runs_nothing() {
    let gateway = Home::new().start();
    let document = gateway.send(&get("/openapi.json")).expect(200).json();
    let answer = gateway.admin("/openapi").expect(200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer.header("content-security-policy");
    let policy = policy.expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"));
    let page = answer.text();
    for active in ["<script", "<form", " style=", " src="] {
        assert!(!page.contains(active), "{active}");
    }
    for link in page.split(" href=\"").skip(1) {
        let own = ["#", "/\"", "/console.css\"", "data:,\""];
        assert!(own.iter().any(|begin| link.starts_with(begin)), "{link}");
    }
    let paths = document["paths"].as_object().expect("paths");
    for (path, item) in paths {
        let methods = item.as_object().expect("methods");
        for (method, operation) in methods.iter().filter(|(name, _)| *name != "parameters") {
            let title = format!("{} {path}</h3>", method.to_uppercase());
            assert!(page.contains(&title), "{title}");
            let id = operation["operationId"].as_str().expect("an operationId");
            assert!(page.contains(&format!("id=\"call-{id}\"")), "{id}");
        }
    }
    let style = gateway.admin("/console.css").expect(200);
    assert_eq!(
        style.header("content-type"),
        Some("text/css; charset=utf-8")
    );
}

#[test]
fn the_connection_ends_with_each_answer() {
    let gateway = Home::new().start();
    for path in ["/livez", "/readyz", "/metrics", "/openapi", "/nothing"] {
        let mut connection = Connection::open(gateway.admin);
        let answer = connection.send(get(path).bytes()).answer();
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
        assert!(connection.ends(AMPLE), "{path}");
    }
}

/// The most connections of the admin listener.
const PLACES: usize = 64;

#[test]
fn a_probe_takes_the_place_of_the_oldest_idle_connection() {
    let gateway = Home::new().start();
    let mut idle: Vec<_> = (0..PLACES)
        .map(|_| Connection::open(gateway.admin))
        .collect();
    gateway.admin("/livez").expect(200);
    assert!(idle[0].ends(AMPLE), "the oldest");
    assert!(idle[1].is_quiet() && idle[PLACES - 1].is_quiet());
    idle[1].send(get("/livez").bytes()).answer().expect(200);
}

#[test]
fn requests_and_records_are_counted() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("topics.metrics.deadline", "300ms")
        .start_with(&sink);
    sink.set("metrics", Behaviour::Fail(SinkError::transient("scripted")));
    for _ in 0..3 {
        gateway.publish("/publish/allevents/", RECORD).expect(200);
    }
    gateway.publish("/publish/allevents/", "{").expect(400);
    gateway.publish("/publish/metrics/", RECORD).expect(503);
    gateway
        .send(&post("/publish/allevents/", RECORD))
        .expect(401);
    gateway.log_in("alice@acme.example", "wrong").expect(401);

    let text = gateway.admin("/metrics").expect(200).text();
    for (name, labels, value) in [
        ("iem_gateway_requests_total", &["events", "200"][..], 3.0),
        ("iem_gateway_requests_total", &["events", "400"], 1.0),
        ("iem_gateway_requests_total", &["events", "401"], 1.0),
        ("iem_gateway_requests_total", &["metrics", "503"], 1.0),
        ("iem_gateway_records_total", &["events", "delivered"], 3.0),
        ("iem_gateway_failed_logins_total", &[], 1.0),
    ] {
        assert!(
            (gateway.metric(name, labels) - value).abs() < 1e-9,
            "{name} {labels:?} is not {value}:\n{text}"
        );
    }
}

#[test]
fn customers_are_counted_up_to_a_bound_on_their_series() {
    let gateway = Home::new().set("metrics.customer_series", 1).start();
    let root = gateway.token("root");
    for customer in ["acme", "globex", "1001", "acme"] {
        let body = format!(r#"{{"envcustomerid":"{customer}"}}"#);
        gateway
            .send(&post("/publish/allevents/", body).cookie(&root))
            .expect(200);
    }
    gateway
        .publish("/publish/allevents/", r#"{"envcustomerid":"globex"}"#)
        .expect(401);
    for number in 0..20 {
        let body = format!(r#"{{"envcustomerid":"made-up-{number}"}}"#);
        gateway
            .send(&post("/publish/allevents/", body).cookie(&root))
            .expect(401);
    }
    let count = |labels: &[&str]| gateway.metric("iem_gateway_customer_records_total", labels);
    assert!((count(&["\"acme\"", "accepted"]) - 2.0).abs() < 1e-9);
    assert!(
        (count(&["accepted"]) - 2.0).abs() < 1e-9,
        "no other customer has a series"
    );
    let others =
        |labels: &[&str]| gateway.metric("iem_gateway_other_customers_records_total", labels);
    assert!(
        (others(&["accepted"]) - 2.0).abs() < 1e-9,
        "the others are counted together"
    );
    assert!(
        (others(&["refused"]) - 1.0).abs() < 1e-9,
        "made-up customers are nobody's"
    );
    let text = gateway.admin("/metrics").text();
    assert!(
        !text.contains("made-up") && !text.contains("globex"),
        "{text}"
    );
}

#[test]
fn the_metrics_are_prometheus_text_with_help_and_hold_no_secret() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    gateway
        .send(
            &post(
                "/publish/allevents/",
                r#"{"envcustomerid":"acme","a":"body-secret"}"#,
            )
            .cookie(&token),
        )
        .expect(200);
    let answer = gateway.admin("/metrics").expect(200);
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain")),
        "{answer:?}"
    );
    let text = answer.text();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        let described = |name: &str| {
            text.contains(&format!("# TYPE {name} ")) && text.contains(&format!("# HELP {name} "))
        };
        assert!(
            described(name) || described(family),
            "{name} is not described"
        );
        assert!(
            line.rsplit(' ')
                .next()
                .is_some_and(|value| value.parse::<f64>().is_ok()),
            "no value: {line}"
        );
    }
    for secret in [&*token, "alice-password", "body-secret"] {
        assert!(!text.contains(secret), "a secret in the metrics");
    }
}

#[test]
fn the_log_holds_no_secret() {
    for format in ["text", "json"] {
        let home = Home::new()
            .set("logging.level", "trace")
            .set("logging.format", format);
        let gateway = home.spawn();
        let answer = gateway
            .log_in("alice@acme.example", "alice-password")
            .expect(200);
        let (token, refresh) = (answer.access_token(), answer.refresh_token());
        let body = r#"{"envcustomerid":"acme","a":"body-secret"}"#;
        gateway
            .send(&post("/publish/allevents/", body).cookie(&token))
            .expect(200);
        gateway
            .send(&post("/publish/allevents/", &body[..40]).cookie(&token))
            .expect(400);
        gateway
            .send(&post("/publish/allevents/", body).cookie("cookie-secret"))
            .expect(401);
        gateway
            .log_in("alice@acme.example", "password-secret")
            .expect(401);
        gateway
            .send(&post(
                "/api/v1/user/token/refresh",
                format!(r#"{{"refresh_token":"{refresh}"}}"#),
            ))
            .expect(200);
        let log = gateway.log();
        assert!(!log.is_empty(), "there is a log");
        for secret in [
            &*token,
            &*refresh,
            "alice-password",
            "body-secret",
            "cookie-secret",
            "password-secret",
        ] {
            assert!(
                !log.contains(secret),
                "a secret in the log ({format}): {secret}\n{log}"
            );
        }
        if format == "json" {
            let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
            assert!(log.lines().all(is_json), "one JSON object a line:\n{log}");
        }
    }
}
