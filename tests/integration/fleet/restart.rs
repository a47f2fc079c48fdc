//! Gateways that are restarted one after another, and one that joins.

use std::time::{Duration, Instant};

use iem_test_support::{AMPLE, Call, Home, Kind, OpenLoop, Protocol, eventually};

use super::Site;

/// Requests a second of each client.
const RATE: u32 = 60;

/// Restarts three gateways under load, one after another, and fails the test if that costs one
/// request.
fn restart(kind: Kind, edit: fn(Home) -> Home) {
    // Each answer takes so long that some requests are under way at any time.
    let mut site = Site::start(kind, |home| edit(home.set("topics.events.linger", "150ms")));
    let loads = [(Protocol::Http1, "one"), (Protocol::Http2, "two")];
    let loads =
        loads.map(|(protocol, label)| site.load(protocol, RATE, label, |request, _| request));
    let mut told = Vec::new();
    for gateway in 1..=3 {
        eventually(AMPLE, "it has its share of the load", || {
            site.ids_of(gateway).len() > 20
        });
        told.push(Instant::now());
        site.stop(gateway);
        site.start_again(gateway);
        let records = site.ids_of(gateway).len();
        eventually(AMPLE, "the new one has its share", || {
            site.ids_of(gateway).len() > records
        });
    }
    for calls in loads.map(OpenLoop::stop) {
        let failed = calls.with(|call| call.status != 200);
        assert!(failed.0.is_empty(), "{failed:?}\n{}", site.balancer.log());
        assert!(calls.0.len() > 100, "the load was a load");
        for told in &told {
            let under_way = |call: &Call| call.sent < *told && call.due + call.wait > *told;
            assert!(calls.0.iter().any(under_way), "some were under way");
        }
        site.has_all(&calls);
    }
}

#[test]
fn a_rolling_restart_costs_no_request_where_haproxy_balances_requests() {
    restart(Kind::HaProxy, |home| home);
}

#[test]
fn a_rolling_restart_costs_no_request_where_haproxy_balances_connections() {
    // Those that are open would stay away from the new ones for an hour.
    restart(Kind::Passthrough, |home| {
        home.set("server.max_connection_age", "5s")
    });
}

#[test]
fn a_rolling_restart_costs_no_request_behind_envoy() {
    restart(Kind::Envoy, |home| home);
}

#[test]
fn a_rolling_restart_costs_no_request_behind_nginx() {
    restart(Kind::Nginx, |home| home);
}

#[test]
fn the_age_of_connections_brings_load_to_a_gateway_that_joins() {
    let mut site = Site::start(Kind::Passthrough, |home| {
        home.set("server.max_connection_age", "2s")
    });
    site.stop(3);
    site.balancer.await_down(3);
    let before = site.ids_of(3).len();
    let loads = [(Protocol::Http1, "one"), (Protocol::Http2, "two")];
    let loads = loads.map(|(protocol, label)| site.load(protocol, 50, label, |request, _| request));
    // All connections are at the others.
    let records = || site.ids_of(1).len() + site.ids_of(2).len();
    let begin = records();
    eventually(AMPLE, "load at the others", || records() > begin + 100);
    site.start_again(3);
    for label in ["one", "two"] {
        eventually(Duration::from_secs(30), "load at the third", || {
            let ids = site.ids_of(3).split_off(before);
            ids.iter().any(|id| id.starts_with(label))
        });
    }
    for calls in loads.map(OpenLoop::stop) {
        let failed = calls.with(|call| call.status != 200);
        assert!(failed.0.is_empty(), "{failed:?}\n{}", site.balancer.log());
        site.has_all(&calls);
    }
}
