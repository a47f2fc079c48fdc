//! A gateway that is killed under load.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use iem_test_support::{AMPLE, Kind, OpenLoop, Protocol, eventually};

use super::Site;

/// Requests a second of each client.
const RATE: u32 = 60;

#[test]
fn a_gateway_killed_behind_haproxy_costs_only_the_requests_on_its_wires() {
    kill(Kind::HaProxy);
}

#[test]
fn a_gateway_killed_behind_envoy_costs_only_the_requests_on_its_wires() {
    kill(Kind::Envoy);
}

/// Kills one of three gateways. Fails the test if that costs a request that was not under way, or one
/// with an idempotency key.
fn kill(kind: Kind) {
    // Each answer takes so long that some requests are under way at any time.
    let mut site = Site::start(kind, |home| home.set("topics.events.linger", "150ms"));
    let bare = [(Protocol::Http1, "one"), (Protocol::Http2, "two")];
    let bare = bare.map(|(protocol, label)| site.load(protocol, RATE, label, |request, _| request));
    let keyed = site.load(Protocol::Http2, RATE, "keyed", |request, id| {
        request.header("Idempotency-Key", id)
    });
    eventually(AMPLE, "load at the first", || site.ids_of(1).len() > 100);
    let began = Instant::now();
    site.gateways[0].kill();
    site.balancer.await_down(1);
    let out = Instant::now();
    let records = site.ids_of(2).len();
    eventually(AMPLE, "load at the others", || {
        site.ids_of(2).len() > records + 100
    });
    let bare = bare.map(OpenLoop::stop);
    let keyed = keyed.stop();
    // It repairs its files, in which a line may be torn.
    site.start_again(1);
    for calls in bare {
        for call in &calls.with(|call| call.status != 200).0 {
            let ended = call.due + call.wait;
            assert!(ended > began && call.sent < out, "{call:?}");
        }
        site.has_all(&calls);
    }
    // These were sent to another gateway, whether or not the first had received them.
    let failed = keyed.with(|call| call.status != 200);
    assert!(failed.0.is_empty(), "{failed:?}\n{}", site.balancer.log());
    site.has_all(&keyed);
    let mut ids: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in site.records() {
        let id = line.attribute("id").to_owned();
        ids.entry(line.test_id()).or_default().insert(id);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "one id each");
}
