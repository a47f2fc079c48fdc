//! Limits over several gateways: a customer's quota, and log-ins that fail.

use std::time::{Duration, Instant};

use iem_test_support::{Gateway, Home, OpenLoop, eventually};

use super::{SOON, database, home, run};

/// Gateways with names of their own.
fn homes(url: &str, count: usize) -> Vec<Home> {
    (0..count)
        .map(|index| home(url).set("server.name", format!("gw-{index}")))
        .collect()
}

/// The load is uneven, and moves: all together take the customer's quota, within a tenth.
#[test]
fn a_quota_is_taken_by_all_gateways_together() {
    const QUOTA: f64 = 200.0;
    let database = database();
    let homes = homes(&database.url(), 3);
    run(&homes[0], "customer quota acme --records 200");
    let gateways: Vec<_> = homes.iter().map(Home::start).collect();
    let token = gateways[0].token("alice");
    let keys = ["a".to_owned()];
    // As many as three gateways are known, and a load is known that has stayed for a while.
    eventually(SOON, "all know each other", || {
        database.run("SELECT count(*) FROM iem_gateway.gateways") == "3"
    });
    for rates in [[400, 60, 20], [20, 300, 100]] {
        let loads: Vec<_> = gateways
            .iter()
            .zip(rates)
            .map(|(gateway, rate)| OpenLoop::start(gateway.address, &token, "event", rate, &keys))
            .collect();
        std::thread::sleep(Duration::from_secs(8));
        let (from, to) = (Instant::now(), Instant::now() + Duration::from_secs(6));
        std::thread::sleep(to.saturating_duration_since(Instant::now()));
        let calls: Vec<_> = loads.into_iter().map(OpenLoop::stop).collect();
        let answered = |status| -> usize {
            let settled = calls.iter().map(|calls| calls.between(from, to));
            settled
                .map(|calls| calls.with(|call| call.status == status).0.len())
                .sum()
        };
        let (accepted, refused) = (answered(200), answered(429));
        let a_second = f64::from(u32::try_from(accepted).expect("few")) / 6.0;
        assert!(refused > 0);
        assert!(
            (a_second - QUOTA).abs() <= QUOTA / 10.0,
            "{rates:?}: {a_second} a second"
        );
    }
}

fn status(gateway: &Gateway, password: &str) -> u16 {
    gateway.log_in("alice@acme.example", password).status
}

#[test]
fn failed_log_ins_count_over_all_gateways() {
    let database = database();
    let gateways: Vec<_> = homes(&database.url(), 2)
        .into_iter()
        .map(|home| home.set("login.failures_per_user", 4).start())
        .collect();
    for _ in 0..4 {
        assert_eq!(status(&gateways[0], "guess"), 401);
    }
    assert_eq!(status(&gateways[0], "guess"), 429);
    // Not even the right password.
    eventually(SOON, "the other knows", || {
        status(&gateways[1], "alice-password") == 429
    });
    // Other users may log in from there.
    gateways[1]
        .log_in("root@iem.example", "root-password")
        .expect(200);
    // A name that is no user's counts alike, or it would show who is one, and nobody can read it.
    for _ in 0..4 {
        gateways[0].log_in("hunter2@example.com", "x").expect(401);
    }
    eventually(SOON, "the other knows of this name, too", || {
        gateways[1].log_in("hunter2@example.com", "x").status == 429
    });
    let all = database.run("SELECT * FROM iem_gateway.failed_logins");
    assert!(!all.contains("hunter2") && !all.contains("alice"), "{all}");
}
