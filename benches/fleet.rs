//! A benchmark of a fleet at a fixed rate a gateway: `cargo bench --bench fleet`, or `-- RATE`, or one of
//! its two parts, `-- directories` and `-- ways`.
//!
//! The CPU time of a request has to be the same however many gateways share a directory, and whatever
//! keeps it. A machine that does more wakes its threads for less, so that a gateway beside others is
//! cheaper than one alone. Therefore three gateways have the load in each case, and as many of them
//! share a database as the case says; the others have a file each. Each round has every case in turn;
//! the median of the rounds counts.
//!
//! Then the same load comes in plain, over TLS, and over TLS through HAProxy with the configuration of
//! `deploy/haproxy`: what each costs the gateways, and HAProxy itself.

#![allow(missing_docs)]

#[allow(dead_code, reason = "the load bench measures more")]
#[path = "load/process.rs"]
mod process;

use std::thread;
use std::time::{Duration, Instant};

use iem_gateway::config;
use iem_gateway::identity::directory::{Directory, Store};
use iem_test_support::brokers::postgres::Postgres;
use iem_test_support::{Authority, Balancer, Gateway, Home, Kind, OpenLoop, Protocol};

use process::Process;

/// The parts, in their order.
const PARTS: [&str; 2] = ["directories", "ways"];
const GATEWAYS: usize = 3;
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_secs(8);
const KEY: &[u8] = b"abababababababababababababababababababababababababababababababab";
/// The greatest difference that is aimed at.
const FLAT: f64 = 0.05;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let rate = arguments.iter().find_map(|argument| argument.parse().ok());
    let rate: u32 = rate.unwrap_or(500);
    let is_wanted = |part| {
        let mut names = arguments
            .iter()
            .filter(|name| PARTS.contains(&name.as_str()));
        let is_named = names.clone().any(|name| name == part);
        is_named || names.next().is_none()
    };
    println!(
        "{rate} requests a second to each of {GATEWAYS} gateways, {ROUNDS} rounds of {TIME:?}"
    );
    if is_wanted(PARTS[0]) {
        directories(rate);
    }
    if is_wanted(PARTS[1]) {
        ways(rate);
    }
}

/// Compares gateways with a file and fleets with a database.
fn directories(rate: u32) {
    let database = Postgres::start();
    let home = home(Some(&database));
    let loaded = config::load(Some(&home.config()), None).expect("a configuration");
    let store = Store::of(&loaded.config.directory).expect("a URL");
    store.migrate().expect("a schema");
    let directory = Directory::read(&home.path("directory.toml")).expect("a directory");
    store.import(&directory, false).expect("an empty database");

    let costs = medians::<{ GATEWAYS + 1 }>(|members| run(members, &database, rate));
    println!();
    for (members, [median, _]) in costs.iter().enumerate() {
        let times = median / costs[0][0];
        let is_met = if (times - 1.0).abs() <= FLAT {
            "met"
        } else {
            "missed"
        };
        let which = match members {
            0 => "each with a file".to_owned(),
            members => format!("{members} with one database"),
        };
        println!("{which}: {median:.1} µs of CPU a request, {times:.3} × (aim ± {FLAT}: {is_met})");
    }
}

/// Compares the ways of requests to the gateways.
fn ways(rate: u32) {
    let ways = [Way::Plain, Way::Tls, Way::Balanced];
    let costs = medians::<3>(|way| balanced(ways[way], rate));
    println!();
    for (way, [gateways, balancer]) in ways.iter().zip(costs) {
        let times = gateways / costs[0][0];
        println!(
            "{way:?}: {gateways:.1} µs of CPU a request at the gateways, {times:.2} ×, and \
             {balancer:.1} µs at HAProxy"
        );
    }
}

/// Runs each case in turn, in each round, and returns the medians of its two values.
fn medians<const CASES: usize>(run: impl Fn(usize) -> [f64; 2]) -> [[f64; 2]; CASES] {
    let mut rounds = [(); CASES].map(|()| [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (case, values) in rounds.iter_mut().enumerate() {
            for (values, value) in values.iter_mut().zip(run(case)) {
                values.push(value);
            }
        }
    }
    rounds.map(|values| {
        values.map(|mut values| {
            values.sort_by(f64::total_cmp);
            values[ROUNDS / 2]
        })
    })
}

fn home(database: Option<&Postgres>) -> Home {
    let home = Home::new().set("sink.file.sync", false);
    home.write_secret("token.key", KEY);
    match database {
        None => home,
        Some(database) => home
            .set("directory.type", "postgres")
            .set("directory.url", database.url())
            .set("directory.snapshot", "snapshot.toml"),
    }
}

fn processes(gateways: &mut [Gateway]) -> Vec<Process> {
    let pid = |gateway: &mut Gateway| gateway.pid().try_into().expect("a pid");
    gateways.iter_mut().map(pid).map(Process).collect()
}

/// Lets the loads run, and returns the CPU time of both groups of processes in that time, in
/// microseconds a request. Of the loads, the first `counted` ones are counted.
fn measure(loads: Vec<OpenLoop>, counted: usize, groups: [&[Process]; 2]) -> [f64; 2] {
    let cpu = || groups.map(|group| group.iter().map(|process| process.cpu()).sum::<Duration>());
    // Without the start and the log-in.
    thread::sleep(Duration::from_secs(1));
    let before = cpu();
    let began = Instant::now();
    thread::sleep(TIME);
    let ended = Instant::now();
    let after = cpu();
    let mut requests = 0;
    for (index, load) in loads.into_iter().enumerate() {
        let calls = load.stop().between(began, ended);
        assert!(
            calls.0.iter().all(|call| call.status == 200),
            "a request failed"
        );
        requests += if index < counted { calls.0.len() } else { 0 };
    }
    let requests = f64::from(u32::try_from(requests).expect("not so many"));
    let used = |group: usize| after[group].saturating_sub(before[group]);
    let cost = |group| used(group).as_secs_f64() * 1e6 / requests;
    [cost(0), cost(1)]
}

/// Returns the microseconds of CPU time that a request costs a member of the fleet, on average; of
/// none, a gateway with a file.
fn run(members: usize, database: &Postgres, rate: u32) -> [f64; 2] {
    let mut gateways: Vec<_> = (0..GATEWAYS)
        .map(|index| {
            let home = home((index < members).then_some(database));
            home.set("server.name", format!("gw-{index}")).spawn()
        })
        .collect();
    let loads = loads(&gateways, rate);
    let counted = if members == 0 { GATEWAYS } else { members };
    let processes = processes(&mut gateways);
    measure(loads, counted, [&processes[..counted], &[]])
}

fn loads(gateways: &[Gateway], rate: u32) -> Vec<OpenLoop> {
    let keys = ["a".to_owned()];
    let load = |gateway: &Gateway| {
        let token = gateway.token("alice");
        OpenLoop::start(gateway.address, &token, "event", rate, &keys)
    };
    gateways.iter().map(load).collect()
}

/// The way of requests to the gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    Tls,
    Balanced,
}

/// Returns the microseconds of CPU time that a request costs the gateways, and HAProxy.
fn balanced(way: Way, rate: u32) -> [f64; 2] {
    let mut plain = [(); GATEWAYS].map(|()| home(None).spawn());
    if way == Way::Plain {
        let loads = loads(&plain, rate);
        return measure(loads, GATEWAYS, [&processes(&mut plain), &[]]);
    }
    // All have the same key.
    let token = plain[0].token("alice");
    drop(plain);
    let authority = Authority::new("authority");
    let identity = authority.server(&["iem-gateway.example.com", "127.0.0.1"]);
    let mut gateways = [(); GATEWAYS].map(|()| {
        let home = home(None).with_tls(&identity);
        home.set("admin.tls.certificate", "tls.pem")
            .set("admin.tls.key", "tls.key")
            .set("server.proxies", vec!["127.0.0.1"])
            .spawn_impatiently()
    });
    let processes = processes(&mut gateways);
    let load = |address| {
        OpenLoop::start_secure(
            address,
            &authority,
            Protocol::Http1,
            &token,
            "event",
            rate,
            |request, _| request,
        )
    };
    if way == Way::Tls {
        let loads = gateways.iter().map(|gateway| load(gateway.address));
        return measure(loads.collect(), GATEWAYS, [&processes, &[]]);
    }
    let balancer = Balancer::start(Kind::HaProxy, &gateways, &authority, &identity);
    (1..=GATEWAYS).for_each(|gateway| balancer.await_up(gateway));
    let loads = [(); GATEWAYS].map(|()| load(balancer.address));
    let haproxy = [Process(balancer.pid())];
    measure(loads.into(), GATEWAYS, [&processes, &haproxy])
}
