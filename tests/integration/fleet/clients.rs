//! Clients whose connections end at a balancer, or go through one: the gateways know their addresses.

use std::time::Duration;

use iem_test_support::{Gateway, Kind, eventually};

use super::Site;

const CLIENT: &str = "127.0.0.9";
const OTHER_CLIENT: &str = "127.0.0.10";
const SOON: Duration = Duration::from_secs(20);

/// Logs in with a wrong password from this address, and returns the status.
fn log_in(site: &Site, client: &str) -> u16 {
    let curl = site.curl("/api/v1/user/token");
    let curl = curl.args(&["-X", "POST", "-u", "alice@acme.example:wrong"]);
    curl.args(&["--interface", client]).answer().status
}

/// Fails the test unless the bound on log-ins and the audit log take a client for what it is.
fn know_the_client(site: &Site) {
    // A failure at each of the gateways.
    let mut refused = 0;
    eventually(SOON, "no more log-ins", || {
        refused = match log_in(site, CLIENT) {
            429 => refused + 1,
            status => {
                assert_eq!(status, 401);
                0
            }
        };
        refused == 3
    });
    assert_eq!(log_in(site, OTHER_CLIENT), 401, "another client");
    let logs = || site.gateways.iter().map(Gateway::log);
    for client in [CLIENT, OTHER_CLIENT] {
        let peer = format!(r#""peer":"{client}""#);
        eventually(SOON, "an entry of the audit log", || {
            logs().any(|log| log.contains(&peer))
        });
    }
    assert!(logs().all(|log| !log.contains(r#""peer":"127.0.0.1""#)));
}

#[test]
fn the_audit_log_and_the_limits_see_the_client_and_not_the_balancer() {
    for kind in [Kind::HaProxy, Kind::Passthrough, Kind::Nginx, Kind::Envoy] {
        let site = Site::start(kind, |home| home.set("login.failures_per_user", 1));
        know_the_client(&site);
    }
}
