//! The admin listener over TLS.

use std::time::Duration;

use iem_test_support::{Authority, Connection, Curl, Gateway, Home, Prometheus, eventually, get};

use super::{encoded, guarded};

const SOON: Duration = Duration::from_secs(15);

/// A gateway whose admin listener has a certificate of this authority, which stands in its folder as
/// `ca.pem`.
fn home(authority: &Authority) -> Home {
    let home = guarded()
        .set("admin.tls.certificate", "admin.pem")
        .set("admin.tls.key", "admin.key");
    home.write_identity("admin", &authority.gateway());
    home.write("ca.pem", authority.pem());
    home
}

fn curl(gateway: &Gateway, ca: &str, path: &str) -> Curl {
    Curl::new(&gateway.home, ca).arg(format!("https://{}{path}", gateway.admin))
}

fn as_root(gateway: &Gateway, path: &str) -> Curl {
    curl(gateway, "ca.pem", path).args(&["--user", "root@iem.example:root-password"])
}

/// Returns the value of a sample.
fn sample(gateway: &Gateway, series: &str) -> f64 {
    let page = as_root(gateway, "/metrics").answer().expect(200).text();
    let line = page.lines().find(|line| line.starts_with(series));
    let value = line.and_then(|line| line.rsplit_once(' '));
    let (_, value) = value.unwrap_or_else(|| panic!("no {series}: {page}"));
    value.parse().expect("a number")
}

#[test]
fn over_tls_a_browser_keeps_the_cookie_for_this_host_and_for_tls() {
    let gateway = home(&Authority::new("authority")).start();
    curl(&gateway, "ca.pem", "/livez").answer().expect(200);
    curl(&gateway, "ca.pem", "/metrics").answer().expect(401);
    as_root(&gateway, "/metrics").answer().expect(200);
    let form = format!(
        "email={}&password={}",
        encoded("root@iem.example"),
        encoded("root-password")
    );
    let output = curl(&gateway, "ca.pem", "/login")
        .args(&["--include", "--data", &form, "--cookie-jar", "jar"])
        .answer()
        .expect(303)
        .text();
    let set = output
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: "))
        .expect("a cookie");
    assert!(set.starts_with("__Host-iem-admin="), "{set}");
    assert!(
        set.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
        "{set}"
    );
    let session = curl(&gateway, "ca.pem", "/session")
        .args(&["--cookie", "jar"])
        .answer()
        .expect(200);
    assert_eq!(session.json()["user"], "root@iem.example");
    // The name without TLS is not taken here.
    let plain = set.replace("__Host-", "");
    curl(&gateway, "ca.pem", "/session")
        .args(&["--cookie", &plain])
        .answer()
        .expect(401);
}

#[test]
fn plain_http_and_http2_are_not_spoken_over_tls() {
    let gateway = home(&Authority::new("authority")).start();
    let mut plain = Connection::open(gateway.admin);
    plain.send(get("/livez").bytes());
    // An alert of TLS, or nothing: no answer of HTTP.
    assert!(!matches!(plain.try_answer(), Ok(Some(_))));
    let answer = curl(&gateway, "ca.pem", "/livez")
        .arg("--http2")
        .answer()
        .expect(200);
    assert_eq!(answer.version, "HTTP/1.1");
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_told() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let gateway = home(&old).start();
    gateway.home.write("new.pem", new.pem());
    let loaded = r#"iem_gateway_tls_certificate_loaded{listener="admin"}"#;
    let ends = r#"iem_gateway_tls_certificate_expires_seconds{listener="admin"}"#;
    assert!(sample(&gateway, loaded) > 0.5);
    assert!(sample(&gateway, ends) > 1.0e9);
    let of_server = r#"iem_gateway_tls_certificate_loaded{listener="server"}"#;
    assert!(sample(&gateway, of_server) < 0.5, "it has none");

    gateway.home.write("admin.pem", "nonsense");
    gateway.reload();
    assert!(sample(&gateway, loaded) < 0.5);
    let readiness = curl(&gateway, "ca.pem", "/readyz").answer().expect(200);
    let reason = readiness.json()["reasons"][0].to_string();
    assert!(
        reason.contains("certificate of the admin listener: ") && reason.contains("admin.pem"),
        "{reason}"
    );

    gateway.home.write_identity("admin", &new.gateway());
    eventually(SOON, "the new certificate", || {
        curl(&gateway, "new.pem", "/livez").try_answer().is_ok()
    });
    assert!(curl(&gateway, "ca.pem", "/livez").try_answer().is_err());
    let readiness = curl(&gateway, "new.pem", "/readyz").answer().expect(200);
    assert_eq!(readiness.json()["reasons"], serde_json::json!([]));
}

#[test]
fn a_missing_certificate_is_no_start() {
    let home = guarded()
        .set("admin.tls.certificate", "none.pem")
        .set("admin.tls.key", "none.key");
    let output = home.run(&["serve"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("none.pem"), "{said}");
    let output = home.run(&["check"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("FAULT  certificate ") && said.contains("none.pem"),
        "{said}"
    );
    assert!(
        said.contains(": TLS, a log-in for metrics and pages"),
        "{said}"
    );
}

#[test]
fn a_real_prometheus_scrapes_by_password_over_tls() {
    let authority = Authority::new("authority");
    let gateway = home(&authority).start();
    let prometheus = Prometheus::start_with(&[gateway.admin], |configuration, folder| {
        std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
        std::fs::write(folder.join("password"), "root-password").expect("a file");
        let job = "  - job_name: iem-gateway\n";
        let secure = "    scheme: https\n    tls_config: {ca_file: ca.pem}\n    basic_auth: \
                      {username: root@iem.example, password_file: password}\n";
        configuration.replace(job, &format!("{job}{secure}"))
    });
    let users = prometheus.query("iem_gateway_directory_users");
    assert_eq!(users.expect("an answer").len(), 1);
}
