//! Brokers behind TLS, and logins by SCRAM and OAUTHBEARER.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Finding, Level, RecordLimit, SinkErrorKind};
use iem_test_support::brokers::kafka::{Kafka, PASSWORD, USER};

use crate::rig::{close, deliver, sink, writer};

const DEADLINE: Duration = Duration::from_secs(8);

fn deliver_one(bootstrap: &str, name: &str, properties: &[(&str, &str)]) {
    let kafka = Kafka::shared();
    kafka.create_topic(name, 1, 1, &[]);
    let sink = sink(bootstrap, DEADLINE, properties);
    deliver(&mut writer(&sink, name), &[record("1001/a", "{}")]);
    close(sink);
    assert_eq!(kafka.read_all(name).len(), 1);
}

#[test]
fn scram_over_tls_delivers() {
    let kafka = Kafka::shared();
    let authority = kafka.authority();
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let properties = [
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", authority.to_str().unwrap()),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", PASSWORD),
        ];
        deliver_one(&kafka.bootstrap_sasl_tls(), mechanism, &properties);
    }
}

#[test]
fn a_broker_with_an_untrusted_certificate_is_refused() {
    let kafka = Kafka::shared();
    kafka.create_topic("distrusted", 1, 1, &[]);
    let authority = kafka.strange_authority();
    let properties = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", authority.to_str().unwrap()),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ];
    let sink = sink(&kafka.bootstrap_sasl_tls(), DEADLINE, &properties);
    let error = BlockingWriter::open(&sink, &topic("distrusted"))
        .err()
        .unwrap();
    assert!(
        error.message.contains("certificate verify failed"),
        "{error}"
    );
    assert!(error.message.contains("ssl.ca.location"), "{error}");
    close(sink);
}

#[test]
fn a_missing_ca_file_is_named() {
    let config = crate::rig::config(
        "127.0.0.1:1",
        DEADLINE,
        &[
            ("security.protocol", "SSL"),
            ("ssl.ca.location", "/nonexistent/ca.pem"),
        ],
    );
    let error = iem_sink_kafka::KafkaSink::open(config).err().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent);
    assert!(error.message.contains("ssl.ca.location"), "{error}");
}

/// The brokers accept unsigned tokens: the sink passes tokens on unverified.
#[test]
fn a_token_from_a_file_delivers() {
    let kafka = Kafka::shared();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = format!(r#"{{"sub":"{USER}","iat":{now},"exp":{}}}"#, now + 600);
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let token = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token).unwrap();
    let url = format!("file://{}", file.display());
    let properties = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", &url),
    ];
    deliver_one(&kafka.bootstrap_sasl(), "token", &properties);
    // Nobody can ask for the limit, so nobody waits for it.
    let sink = sink(&kafka.bootstrap_sasl(), DEADLINE, &properties);
    assert_eq!(writer(&sink, "token").writer().limit(), RecordLimit::None);
    let findings = sink.inspect(&[topic("token")], Instant::now() + DEADLINE);
    let untold = |found: &Finding| found.level == Level::Weak && found.text.contains("OAUTHBEARER");
    assert!(findings.iter().any(untold), "{findings:?}");
    close(sink);
}
