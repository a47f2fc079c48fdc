//! Client certificates that are revoked, or lose their user, while their connections are open.

use std::time::Duration;

use iem_test_support::{
    Authority, Curl, Gateway, Home, Identity, SecureClient, email, eventually, post,
};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const REFUSED: &str = r#"{"message":"Invalid access token"}"#;
const SOON: Duration = Duration::from_secs(20);

/// A gateway at which two certificates stand for alice, and nothing is revoked.
struct Scene {
    authority: Authority,
    first: Identity,
    second: Identity,
    gateway: Gateway,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new("authority");
        let home = Home::new().with_tls(&authority.gateway());
        home.write("ca.pem", authority.pem());
        home.write("crl.pem", authority.revoke(&[], 1));
        let first = authority.client("first", "none@acme.example");
        let second = authority.client("second", "none@acme.example");
        home.write_identity("first", &first);
        home.write_identity("second", &second);
        let users = toml::Table::from_iter([
            ("cn:first".to_owned(), email("alice").into()),
            ("cn:second".to_owned(), email("alice").into()),
        ]);
        let gateway = home
            .set("server.tls.client_ca", "ca.pem")
            .set("server.tls.client_crl", "crl.pem")
            .set("server.tls.users", users)
            .start();
        Self {
            authority,
            first,
            second,
            gateway,
        }
    }

    /// Replaces the list.
    fn write_list(&self, list: &str) {
        let home = &self.gateway.home;
        home.write("crl.new", list);
        std::fs::rename(home.path("crl.new"), home.path("crl.pem")).expect("a rename");
        self.gateway.reload();
    }

    fn connect(&self, name: &str) -> SecureClient {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let arguments = ["-cert", &certificate, "-key", &key];
        SecureClient::open(
            &self.gateway.home,
            self.gateway.address,
            "ca.pem",
            &arguments,
        )
    }

    /// Publishes on a connection of its own.
    fn publish(&self, name: &str, option: &str) -> Result<u16, String> {
        let curl = Curl::new(&self.gateway.home, "ca.pem").args(&[
            option,
            "-d",
            RECORD,
            "--cert",
            &format!("{name}.pem"),
            "--key",
            &format!("{name}.key"),
        ]);
        let url = format!("https://{}{EVENTS}", self.gateway.address);
        curl.arg(url).try_answer().map(|answer| answer.status)
    }
}

/// Sends a request, which is refused, and whose connection ends.
fn refused(mut client: SecureClient, request: &[u8]) {
    let answer = client.exchange(request, "\"}");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.ends_with(REFUSED), "{answer}");
    client.end();
}

#[test]
fn a_revoked_certificate_ends_its_connection_at_the_next_request() {
    let scene = Scene::new();
    let publish = post(EVENTS, RECORD).bytes();
    let (mut first, mut second) = (scene.connect("first"), scene.connect("second"));
    first.exchange(&publish, PUBLISHED);
    second.exchange(&publish, PUBLISHED);
    scene.write_list(&scene.authority.revoke(&[&scene.first], 1));

    refused(first, &publish);
    second.exchange(&publish, PUBLISHED);
    for option in ["--http1.1", "--http2"] {
        assert!(scene.publish("first", option).is_err(), "{option}");
        assert_eq!(scene.publish("second", option), Ok(200), "{option}");
    }
    assert_eq!(scene.gateway.home.records("events").len(), 5);
}

#[test]
fn a_list_that_cannot_be_used_leaves_the_last_one_in_force() {
    let scene = Scene::new();
    scene.write_list(&scene.authority.revoke(&[&scene.first], 1));
    for list in ["nothing", &scene.authority.pem(), ""] {
        scene.write_list(list);
        assert!(
            scene
                .gateway
                .metric("iem_gateway_tls_certificate_loaded", &[])
                < 0.5
        );
        assert!(scene.publish("first", "--http1.1").is_err());
        assert_eq!(scene.publish("second", "--http1.1"), Ok(200));
    }
    // One that should have been replaced counts.
    scene.write_list(&scene.authority.revoke(&[&scene.second], -1));
    assert!(
        scene
            .gateway
            .metric("iem_gateway_tls_certificate_loaded", &[])
            > 0.5
    );
    assert_eq!(scene.publish("first", "--http1.1"), Ok(200));
    assert!(scene.publish("second", "--http1.1").is_err());
}

#[test]
fn a_certificate_that_no_list_covers_is_refused() {
    let scene = Scene::new();
    assert_eq!(scene.publish("first", "--http1.1"), Ok(200));
    scene.write_list(&Authority::new("other").revoke(&[], 1));
    assert!(scene.publish("first", "--http1.1").is_err());
}

#[test]
fn a_certificate_whose_user_is_disabled_ends_its_connection_at_the_next_request() {
    let scene = Scene::new();
    let publish = post(EVENTS, RECORD).bytes();
    let mut first = scene.connect("first");
    first.exchange(&publish, PUBLISHED);
    // The first user is alice.
    let edit = |text: String| text.replacen("enabled = true", "enabled = false", 1);
    scene.gateway.home.clone().edit_directory(edit);
    scene.gateway.reload();
    refused(first, &publish);
}

#[test]
fn check_tells_of_lists_that_should_have_been_replaced_or_cannot_be_used() {
    let scene = Scene::new();
    let home = &scene.gateway.home;
    let check = || {
        let run = home.run(&["check"]);
        (
            run.status.success(),
            String::from_utf8_lossy(&run.stdout).into_owned(),
        )
    };
    eventually(SOON, "a list that holds", || {
        check().1.contains("1 in force")
    });
    home.write("crl.pem", scene.authority.revoke(&[], -1));
    let (is_good, text) = check();
    assert!(
        is_good && text.contains("later revocations are missing"),
        "{text}"
    );
    home.write("crl.pem", "nothing");
    let (is_good, text) = check();
    assert!(
        !is_good && text.contains("holds no list of revoked certificates"),
        "{text}"
    );
}
