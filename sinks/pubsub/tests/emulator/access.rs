//! Endpoints, credentials and topics: the errors that name what is missing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::task::Waker;

use iem_sink::{Level, SinkErrorKind};
use serde_json::json;

use super::*;

#[test]
fn a_missing_topic_is_named_with_the_command_that_creates_it() {
    let pubsub = PubSub::shared();
    let sink = open(pubsub);
    let error = sink
        .writer(&topic("not-there"), Waker::noop().clone())
        .err()
        .unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent);
    assert_eq!(
        error.message,
        "topic projects/iem-test/topics/not-there does not exist; to change that: \
         gcloud pubsub topics create not-there --project=iem-test"
    );
    assert_eq!(
        sink.check(Instant::now() + AMPLE),
        Ok(()),
        "a topic that was not opened is not asked for"
    );
}

#[test]
fn an_inspection_finds_missing_topics_only() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "inspected");
    let findings = open(pubsub).inspect(&[&name, "gone-one", "gone-two"], Instant::now() + AMPLE);
    let levels: Vec<Level> = findings.iter().map(|finding| finding.level).collect();
    assert_eq!(levels, [Level::Good, Level::Bad, Level::Bad]);
    let text = &findings[1].text;
    assert!(
        text.ends_with("gcloud pubsub topics create gone-one --project=iem-test"),
        "{text}"
    );
}

#[test]
fn an_unreachable_endpoint_is_transient_and_named() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let sink = PubSubSink::open(config(endpoint.clone())).unwrap();
    let error = sink
        .writer(&topic("events"), Waker::noop().clone())
        .err()
        .unwrap();
    assert_eq!(error.kind, SinkErrorKind::Transient);
    assert!(
        error.message.contains(&endpoint) && error.message.contains("refused"),
        "{error}"
    );
}

#[test]
fn unusable_credentials_are_named_without_their_content() {
    let secret = "-----BEGIN PRIVATE KEY-----";
    let cases = [
        (format!("{secret} no json"), "not JSON (line 1, column 2)"),
        (format!(r#"{{"type":"{secret}"}}"#), "its `type` is none of"),
        (
            format!(r#"{{"type":"service_account","private_key":"{secret}"}}"#),
            "a field",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (content, expected) in cases {
        let path = folder.path().join("key.json");
        std::fs::write(&path, content).unwrap();
        let config = PubSubConfig {
            project: PROJECT.to_owned(),
            credentials: Some(path.clone()),
            ..PubSubConfig::default()
        };
        let error = PubSubSink::open(config).err().unwrap();
        assert_eq!(error.kind, SinkErrorKind::Permanent);
        assert!(error.message.contains(expected), "{error}");
        assert!(error.message.contains(&*path.to_string_lossy()), "{error}");
        assert!(!error.message.contains("PRIVATE"), "{error}");
    }
}

#[test]
fn the_emulators_environment_variable_is_used() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "environment");
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "access::publishes_by_environment_alone",
            "--ignored",
        ])
        .env("PUBSUB_EMULATOR_HOST", pubsub.host())
        .env("TEST_TOPIC", &name)
        .status();
    assert!(status.unwrap().success());
    assert_eq!(pubsub.read_all(&name).len(), 1);
}

#[test]
#[ignore = "run by the_emulators_environment_variable_is_used, in an environment of its own"]
fn publishes_by_environment_alone() {
    let name = std::env::var("TEST_TOPIC").unwrap();
    let config = PubSubConfig {
        project: PROJECT.to_owned(),
        ..PubSubConfig::default()
    };
    deliver(
        &mut writer(&PubSubSink::open(config).unwrap(), &name),
        &numbered(1, 1),
    );
}

/// Workload identity federation with a token server that refuses the subject.
#[test]
fn a_refused_credential_is_permanent_and_named() {
    let refusal = r#"{"error":"invalid_grant","error_description":"unknown subject"}"#;
    let folder = tempfile::tempdir().unwrap();
    let subject = folder.path().join("subject");
    std::fs::write(&subject, "secret-subject-token").unwrap();
    let key = folder.path().join("federation.json");
    let content = json!({
        "type": "external_account",
        "audience": concat!(
            "//iam.googleapis.com/projects/1/locations/global/",
            "workloadIdentityPools/p/providers/x",
        ),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://{}/token", refusing_server(refusal)),
        "credential_source": { "file": subject },
    });
    std::fs::write(&key, content.to_string()).unwrap();

    let sink = PubSubSink::open(PubSubConfig {
        project: PROJECT.to_owned(),
        endpoint: Some("https://127.0.0.1:1".to_owned()),
        credentials: Some(key),
        ..PubSubConfig::default()
    });
    let error = sink
        .unwrap()
        .writer(&topic("events"), Waker::noop().clone())
        .err()
        .unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent);
    assert!(
        error.message.contains("Pub/Sub refuses the credential"),
        "{error}"
    );
    assert!(error.message.contains("unknown subject"), "{error}");
    assert!(!error.message.contains("secret"), "{error}");
}

/// Answers each request with 400 and this body, until the process ends.
fn refusing_server(body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 16 << 10]);
            let _ = write!(
                stream,
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}
