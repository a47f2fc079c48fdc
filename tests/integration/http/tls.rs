//! HTTPS: versions, handshakes that fail, certificates that change while the gateway runs, and
//! plain HTTP only where it is wanted.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use rustix::process::Signal;

use iem_test_support::{
    Authority, Curl, Gateway, Home, Secure, SecureClient, eventually, get, post,
};

const HEALTHCHECK: &str = "/publish/healthcheck/";
const RUNNING: &str = r#"{"message":"API is running"}"#;
const SOON: Duration = Duration::from_secs(15);

/// A gateway's folder with a certificate of `authority`, which stands there as `ca.pem`.
fn home(authority: &Authority) -> Home {
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    home
}

fn url(gateway: &Gateway) -> String {
    format!("https://{}{HEALTHCHECK}", gateway.address)
}

fn curl(gateway: &Gateway, ca: &str) -> Result<String, String> {
    let answer = Curl::new(&gateway.home, ca)
        .arg(url(gateway))
        .try_answer()?;
    Ok(answer.expect(200).text())
}

#[test]
fn both_versions_of_tls_and_clients_without_alpn_are_served() {
    let gateway = home(&Authority::new("authority")).start();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = SecureClient::open(&gateway.home, gateway.address, "ca.pem", &[version]);
        let answer = client.exchange(&get(HEALTHCHECK).bytes(), RUNNING);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    for (option, version) in [
        ("--http1.1", "HTTP/1.1"),
        ("--http1.0", "HTTP/1.1"),
        ("--http2", "HTTP/2"),
    ] {
        let answer = Curl::new(&gateway.home, "ca.pem")
            .arg(option)
            .arg(url(&gateway))
            .answer()
            .expect(200);
        assert!(
            option == "--http1.0" || answer.version == version,
            "{option}: {answer:?}"
        );
    }
    let old = SecureClient::open(&gateway.home, gateway.address, "ca.pem", &["-tls1_1"]);
    assert!(!old.end().is_empty(), "TLS 1.1 is refused");
}

#[test]
fn bytes_that_are_no_handshake_are_counted_and_harm_nobody() {
    let gateway = home(&Authority::new("authority"))
        .set("server.header_timeout", "1s")
        .start();
    let mut plain = gateway.connect();
    plain.send(get(HEALTHCHECK).bytes());
    // An alert of TLS, or nothing: no answer of HTTP.
    assert!(!matches!(plain.try_answer(), Ok(Some(_))));
    let silent = TcpStream::connect(gateway.address).expect("a connection");
    eventually(SOON, "both have failed", || {
        gateway.metric("iem_gateway_tls_handshakes_failed_total", &[]) >= 2.0
    });
    drop(silent);
    eventually(SOON, "none is left", || {
        gateway.metric("iem_gateway_connections", &[]) < 0.5
    });
    assert_eq!(curl(&gateway, "ca.pem").as_deref(), Ok(RUNNING));
}

#[test]
fn a_client_that_trusts_another_authority_does_not_connect() {
    let gateway = home(&Authority::new("authority")).start();
    gateway
        .home
        .write("other.pem", Authority::new("other").pem());
    assert!(curl(&gateway, "other.pem").is_err());
    assert_eq!(curl(&gateway, "ca.pem").as_deref(), Ok(RUNNING));
}

#[test]
fn a_new_certificate_is_taken_under_load_and_no_request_fails() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let home = home(&old);
    home.write("new.pem", new.pem());
    home.write("both.pem", old.pem() + &new.pem());
    let gateway = home.start();
    let mut lasting = SecureClient::open(&home, gateway.address, "ca.pem", &[]);
    lasting.exchange(&get(HEALTHCHECK).bytes(), RUNNING);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        assert_eq!(curl(&gateway, "both.pem").as_deref(), Ok(RUNNING));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        home.write_identity("tls", &new.gateway());
        eventually(SOON, "the new certificate", || {
            curl(&gateway, "new.pem").is_ok()
        });
        let before = answered.load(Ordering::Relaxed);
        eventually(SOON, "more answers", || {
            answered.load(Ordering::Relaxed) > before + 3
        });
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no request fails");
        }
    });
    assert!(
        curl(&gateway, "ca.pem").is_err(),
        "the old certificate is shown to nobody"
    );
    lasting.exchange(&get(HEALTHCHECK).bytes(), RUNNING);
}

#[test]
fn a_broken_new_certificate_is_reported_and_the_old_one_stays() {
    let authority = Authority::new("authority");
    let home = home(&authority);
    let mut gateway = home.spawn_without_waiting();
    eventually(SOON, "a start", || curl(&gateway, "ca.pem").is_ok());
    let loaded =
        |gateway: &Gateway| gateway.metric("iem_gateway_tls_certificate_loaded", &[]) > 0.5;
    assert!(loaded(&gateway));
    assert!(gateway.metric("iem_gateway_tls_certificate_expires_seconds", &[]) > 1.0e9);
    let other = authority.gateway();
    for (name, content, words) in [
        (
            "tls.key",
            other.key.clone(),
            "is not the key of the certificate",
        ),
        (
            "tls.key",
            other.key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            "is encrypted",
        ),
        ("tls.key", String::new(), "holds no private key"),
        ("tls.pem", "nonsense".to_owned(), "holds no certificate"),
    ] {
        home.write(name, &content);
        eventually(SOON, words, || gateway.log().contains(words));
        assert!(!loaded(&gateway));
        assert_eq!(gateway.admin("/readyz").status, 200);
        assert_eq!(curl(&gateway, "ca.pem").as_deref(), Ok(RUNNING));
    }
    home.write_identity("tls", &other);
    // At once, without the wait for files that are still being written.
    gateway.signal(Signal::HUP);
    eventually(SOON, "the new certificate", || loaded(&gateway));
    assert_eq!(curl(&gateway, "ca.pem").as_deref(), Ok(RUNNING));
    let secret = other
        .key
        .lines()
        .nth(1)
        .expect("a line of the key")
        .to_owned();
    assert!(
        !gateway.log().contains(&secret) && gateway.log().contains("tls.key"),
        "{}",
        gateway.log()
    );
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
}

#[test]
fn beyond_the_limit_of_connections_a_handshake_is_rejected() {
    let authority = Authority::new("authority");
    let sink = ScriptedSink::new();
    let gateway = home(&authority)
        .set("server.max_connections", 1)
        .start_with(&sink);
    sink.set("tickets", Behaviour::Stall);
    let update = r#"{"state":6,"sysid":"1"}"#;
    let request = post("/gbp/push/acme?integrationid=servicenow-1", update)
        .basic("alice@acme.example", "alice-password");
    let mut busy = Secure::over(gateway.connect().into_stream(), &authority);
    busy.try_send(&request.bytes()).expect("the gateway reads");
    sink.wait_for("tickets", |log| log.waiting == 1);
    assert!(curl(&gateway, "ca.pem").is_err());
    assert!(gateway.reached("connections") >= 1);
    sink.set("tickets", Behaviour::Deliver);
    eventually(SOON, "room for another", || {
        curl(&gateway, "ca.pem").is_ok()
    });
}
