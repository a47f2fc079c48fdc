//! Client certificates: optional or required, and the users that they stand for.

use std::fmt::Write;
use std::process::Command;

use iem_test_support::{Answer, Authority, Curl, Gateway, Home, basic, email};

const EVENTS: &str = "/publish/allevents/";
const TICKET: &str = "/gbp/push/acme?integrationid=servicenow-1";
const TOKEN: &str = "/api/v1/user/token";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const UPDATE: &str = r#"{"state":6,"sysid":"1"}"#;

struct Scene {
    gateway: Gateway,
}

impl Scene {
    /// A gateway that knows certificates of alice (by email), of org (by common name), of off (by
    /// fingerprint) and of somebody who is no user.
    fn new(certificates: &str) -> Self {
        let (authority, stranger) = (Authority::new("authority"), Authority::new("stranger"));
        let home = Home::new().with_tls(&authority.gateway());
        home.write("ca.pem", authority.pem());
        let off = authority.client("off", "none@acme.example");
        home.write_identity("off", &off);
        home.write_identity(
            "alice",
            &authority.client("connector", "alice-nifi@acme.example"),
        );
        home.write_identity("org", &authority.client("console", "none@acme.example"));
        home.write_identity("gone", &authority.client("gone", "none@acme.example"));
        home.write_identity(
            "unknown",
            &authority.client("unknown", "alice@acme.example"),
        );
        home.write_identity(
            "forged",
            &stranger.client("connector", "alice-nifi@acme.example"),
        );
        let users = toml::Table::from_iter([
            (
                "email:alice-nifi@acme.example".to_owned(),
                email("alice").into(),
            ),
            ("cn:console".to_owned(), email("org").into()),
            ("cn:gone".to_owned(), "nobody@acme.example".into()),
            (fingerprint(&off.der), email("off").into()),
        ]);
        let home = home
            .set("server.tls.client_ca", "ca.pem")
            .set("server.tls.client_certificates", certificates);
        Self {
            gateway: home.set("server.tls.users", users).start(),
        }
    }

    /// Sends a body to a path with this certificate, if any, and more arguments of curl's.
    fn try_send(
        &self,
        identity: &str,
        path: &str,
        body: &str,
        more: &[&str],
    ) -> Result<Answer, String> {
        let mut curl = Curl::new(&self.gateway.home, "ca.pem")
            .args(more)
            .args(&["-d", body]);
        if !identity.is_empty() {
            curl = curl.args(&[
                "--cert",
                &format!("{identity}.pem"),
                "--key",
                &format!("{identity}.key"),
            ]);
        }
        curl.arg(format!("https://{}{path}", self.gateway.address))
            .try_answer()
    }

    #[track_caller]
    fn check(&self, identity: &str, path: &str, more: &[&str], status: u16, words: &str) {
        let body = if path == TICKET { UPDATE } else { RECORD };
        let answer = self.try_send(identity, path, body, more);
        let answer = answer.unwrap_or_else(|error| panic!("{identity} {path}: {error}"));
        assert!(
            answer.status == status && answer.text().contains(words),
            "{identity} {path}: {answer:?}"
        );
    }
}

/// As `openssl x509 -fingerprint -sha256` says it, by openssl itself.
fn fingerprint(der: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, der).expect("a file");
    let mut command = Command::new("openssl");
    command
        .args([
            "x509",
            "-inform",
            "DER",
            "-noout",
            "-fingerprint",
            "-sha256",
            "-in",
        ])
        .arg(file.path());
    let output = command
        .output()
        .expect("openssl runs: apt-get install openssl");
    let text = String::from_utf8(output.stdout).expect("text");
    let digits = text.trim().split_once('=').expect("a fingerprint").1;
    let mut name = String::new();
    write!(name, "sha256:{digits}").expect("a string takes text");
    name
}

#[test]
fn a_certificate_replaces_the_token_of_its_user() {
    let scene = Scene::new("optional");
    scene.check("alice", EVENTS, &[], 200, "Data published successfully");
    scene.check("alice", TICKET, &[], 200, "Success");
    scene.check("alice", TOKEN, &[], 200, "\"email\":\"alice@acme.example\"");
    scene.check(
        "alice",
        EVENTS,
        &["--http1.1"],
        200,
        "Data published successfully",
    );
    let records = scene.gateway.home.records("events");
    assert_eq!(records[0].attribute("user"), email("alice"));
    let other = r#"{"envcustomerid":"globex"}"#;
    let answer = scene
        .try_send("alice", EVENTS, other, &[])
        .expect("an answer")
        .expect(401);
    assert_eq!(answer.message(), "User is not associated with the customer");
}

#[test]
fn a_certificate_of_a_user_without_rights_is_rejected_like_a_token() {
    let scene = Scene::new("optional");
    for identity in ["off", "gone"] {
        scene.check(identity, EVENTS, &[], 401, "Invalid access token");
        scene.check(identity, TICKET, &[], 401, "Invalid access token");
        scene.check(identity, TOKEN, &[], 401, "Invalid username/password.");
    }
    scene.check("org", EVENTS, &[], 403, "Access denied");
    scene.check("org", TICKET, &[], 403, "Access denied");
    scene.check("org", TOKEN, &[], 403, "Access denied");
}

#[test]
fn without_a_certificate_or_its_user_a_token_is_needed() {
    let scene = Scene::new("optional");
    for identity in ["", "unknown"] {
        scene.check(identity, EVENTS, &[], 401, "Missing access token");
        scene.check(identity, TICKET, &[], 403, "Access denied");
        scene.check(identity, TOKEN, &[], 401, "Invalid username/password.");
        scene.check(
            identity,
            TOKEN,
            &["-u", "alice@acme.example:alice-password"],
            200,
            "access_token",
        );
    }
    assert!(
        scene.try_send("forged", EVENTS, RECORD, &[]).is_err(),
        "of another authority"
    );
}

#[test]
fn credentials_in_a_request_win_over_its_certificate() {
    let scene = Scene::new("optional");
    scene.check(
        "alice",
        EVENTS,
        &["-H", "Cookie: access_token=no"],
        401,
        "Invalid access token",
    );
    scene.check(
        "alice",
        TICKET,
        &["-u", "alice@acme.example:wrong"],
        403,
        "Invalid credentials",
    );
    scene.check(
        "alice",
        TICKET,
        &["-H", "Authorization: Basic !"],
        403,
        "Invalid credentials",
    );
    scene.check(
        "alice",
        TOKEN,
        &["-u", "alice@acme.example:wrong"],
        401,
        "Invalid username/password.",
    );
    let bob = basic("bob@globex.example:bob-password");
    scene.check(
        "alice",
        TOKEN,
        &["-H", &format!("Authorization: {bob}")],
        200,
        "\"email\":\"bob@globex.example\"",
    );
}

#[test]
fn a_required_certificate_is_needed_to_connect() {
    let scene = Scene::new("required");
    for identity in ["", "forged"] {
        for version in [&["--tls-max", "1.2"][..], &[]] {
            assert!(
                scene.try_send(identity, EVENTS, RECORD, version).is_err(),
                "{identity} {version:?}"
            );
        }
    }
    scene.check("alice", EVENTS, &[], 200, "Data published successfully");
    scene.check(
        "alice",
        EVENTS,
        &["--tls-max", "1.2"],
        200,
        "Data published successfully",
    );
    scene.check("unknown", EVENTS, &[], 401, "Missing access token");
    assert!(
        scene
            .gateway
            .metric("iem_gateway_tls_handshakes_failed_total", &[])
            >= 4.0
    );
}

#[test]
fn tokens_issued_by_a_certificate_are_bound_to_it() {
    let scene = Scene::new("optional");
    let answer = scene.try_send("alice", TOKEN, "", &[]).expect("an answer");
    let first = answer.expect(200);
    let refresh = |identity: &str, token: &str| {
        let body = format!(r#"{{"refresh_token":"{token}"}}"#);
        let path = "/api/v1/user/token/refresh";
        scene
            .try_send(identity, path, &body, &[])
            .expect("an answer")
    };
    let second = refresh("alice", &first.refresh_token()).expect(200);
    for answer in [&first, &second] {
        let cookie = format!("Cookie: access_token={}", answer.access_token());
        let bearer = format!("Authorization: Bearer {}", answer.access_token());
        for header in [&cookie, &bearer] {
            let header = ["-H", header];
            scene.check("alice", EVENTS, &header, 200, "Data published");
            scene.check("alice", TICKET, &header, 200, "Success");
            for identity in ["", "org", "unknown"] {
                scene.check(identity, EVENTS, &header, 401, "Invalid access token");
                scene.check(identity, TICKET, &header, 401, "Invalid access token");
            }
        }
    }
    for identity in ["", "org", "unknown"] {
        refresh(identity, &second.refresh_token()).expect(401);
    }
    // The attempts of others have used nothing up.
    refresh("alice", &second.refresh_token()).expect(200);

    let form = "grant_type=client_credentials";
    let answer = scene.try_send("alice", "/oauth2/token", form, &[]);
    let answer = answer.expect("an answer").expect(200).json();
    let token = answer["access_token"].as_str().expect("a token");
    let bearer = ["-H", &format!("Authorization: Bearer {token}")];
    scene.check("alice", EVENTS, &bearer, 200, "Data published");
    scene.check("", EVENTS, &bearer, 401, "Invalid access token");

    let credentials = ["-u", "alice@acme.example:alice-password"];
    let by_password = scene.try_send("alice", TOKEN, "", &credentials);
    let by_password = by_password.expect("an answer").expect(200);
    let cookie = format!("Cookie: access_token={}", by_password.access_token());
    scene.check("", EVENTS, &["-H", &cookie], 200, "Data published");
    refresh("", &by_password.refresh_token()).expect(200);
}
