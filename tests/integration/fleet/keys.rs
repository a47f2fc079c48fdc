//! Idempotency keys and ordering keys where several gateways may have a request.

use std::collections::BTreeSet;

use iem_test_support::{Arrived, Home, Kind, post};

use super::Site;

const EVENTS: &str = "/publish/allevents/";

/// Returns the ids of a home's records.
fn ids(home: &Home) -> Vec<String> {
    let records = home.records("events").into_iter().map(Arrived::from);
    records
        .map(|record| record.attributes["id"].clone())
        .collect()
}

#[test]
fn two_gateways_give_the_records_of_one_key_the_same_ids() {
    let home = Home::new().set("tokens.keys", "keys");
    let path = |name: &str| home.path(name).display().to_string();
    let other = Home::new()
        .set("server.name", "another-gateway")
        .set("directory.path", path("directory.toml"))
        .set("tokens.keys", path("keys"));
    let gateways = [home.start(), other.start()];
    let token = gateways[0].token("alice");
    let body = r#"[{"envcustomerid":"acme","splitby":1},{"envcustomerid":"acme","splitby":2}]"#;
    for gateway in &gateways {
        let request = post(EVENTS, body).cookie(&token);
        let request = request.header("Idempotency-Key", "flow-file-1");
        let answer = gateway.send(&request).expect(200);
        assert_eq!(answer.header("idempotent-replayed"), None, "it is new here");
    }
    let [one, two] = [&home, &other].map(ids);
    assert_eq!(one, two);
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 2);
}

/// Publishes an event for each of thirty idempotency keys, on a connection for each.
fn publish(site: &Site, token: &str) {
    for number in 0..30 {
        let curl = site.curl(EVENTS);
        let curl = curl.arg("--cookie").arg(format!("access_token={token}"));
        let curl = curl
            .arg("--header")
            .arg(format!("Idempotency-Key: key-{number}"));
        let body = format!(r#"{{"envcustomerid":"acme","test_id":"{number}"}}"#);
        curl.arg("--data").arg(body).answer().expect(200);
    }
}

#[test]
fn haproxy_sends_the_requests_of_one_key_to_one_gateway_as_long_as_it_is_ready() {
    let mut site = Site::start(Kind::HaProxy, |home| home);
    let token = site.token();
    let records = |site: &Site| [1, 2, 3].map(|gateway| site.ids_of(gateway).len());
    publish(&site, &token);
    let before = records(&site);
    assert_eq!(before.iter().sum::<usize>(), 30);
    assert!(before.iter().all(|records| *records > 0), "{before:?}");
    publish(&site, &token);
    assert_eq!(records(&site), before, "none is delivered again");
    // Only its own keys go to others.
    site.stop(1);
    site.balancer.await_down(1);
    publish(&site, &token);
    let after = records(&site);
    assert_eq!(after[0], before[0]);
    assert_eq!(after.iter().sum::<usize>(), 30 + before[0]);
}
