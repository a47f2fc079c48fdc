//! NiFi's own `InvokeHTTP` against the gateway over TLS: which relationship a flow file is routed
//! to decides whether NiFi sends it again.

use iem_test_support::{Authority, FlowFile, Home, Nifi};

const EVENT: &str = r#"{"envcustomerid":"acme","splitby":"s"}"#;
const METRIC: &str = r#"{"envcustomerid":"acme","entity":"e"}"#;
const MIB: usize = 1 << 20;

/// Flow files of every outcome. Those that are refused early come first: what follows them is
/// answered as ever.
#[test]
fn nifi_routes_flow_files_as_the_contract_says() {
    let home = Home::new();
    // The tests' own client logs in over plain HTTP.
    let token = home.start().token("alice");
    let authority = Authority::new("authority");
    // Nobody listens on port 1: the sink of the metrics is away.
    let home = home
        .with_tls(&authority.gateway())
        .set("sink.kafka.bootstrap_servers", "127.0.0.1:1")
        .topic_at("metrics", "kafka", "metrics")
        .set("topics.metrics.deadline", "1s");
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let file = |path: &str, token, content: String| FlowFile {
        url: format!("https://{}{path}", gateway.address),
        token,
        content,
    };
    let routed = Nifi::new(&gateway.home).invoke(&[
        file("/publish/allevents/", &token, (8 * MIB + 1).to_string()),
        file("/publish/allevents/", &token, (16 * MIB).to_string()),
        file("/publish/allevents/", "no.such.token", MIB.to_string()),
        file("/publish/allevents/", "no.such.token", EVENT.to_owned()),
        file("/publish/metrics/", &token, METRIC.to_owned()),
        file("/publish/allevents/", &token, EVENT.to_owned()),
    ]);
    let expected = |version: &str| {
        [
            "0 VERSION 413 No Retry",
            "1 VERSION 413 No Retry",
            "2 VERSION 401 No Retry",
            "3 VERSION 401 No Retry",
            "4 VERSION 503 Retry",
            "5 VERSION 200 Original",
            "5 VERSION 200 Response",
        ]
        .map(|line| line.replace("VERSION", version))
    };
    assert_eq!(routed, [expected("http1"), expected("http2")].concat());
    assert_eq!(gateway.home.records("events").len(), 2);
}
