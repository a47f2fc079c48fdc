//! A benchmark of several gateways at a fixed rate each: `cargo bench --bench fleet`, or `-- RATE`.
//!
//! The CPU time of a request has to be the same however many gateways share a directory, and whatever
//! keeps it. Each round has every fleet in turn; the median of the rounds counts.

#![allow(missing_docs)]

use std::fs;
use std::thread;
use std::time::Duration;

use iem_gateway::config;
use iem_gateway::identity::directory::{Directory, Store};
use iem_test_support::brokers::postgres::Postgres;
use iem_test_support::{Gateway, Home, OpenLoop};

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(8);
/// Linux counts CPU time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
const KEY: &[u8] = b"abababababababababababababababababababababababababababababababab";
/// The greatest difference that is aimed at.
const FLAT: f64 = 0.05;

#[derive(Clone, Copy, Debug)]
struct Fleet {
    gateways: usize,
    on_database: bool,
}

const FLEETS: [Fleet; 4] = [
    Fleet {
        gateways: 1,
        on_database: false,
    },
    Fleet {
        gateways: 1,
        on_database: true,
    },
    Fleet {
        gateways: 2,
        on_database: true,
    },
    Fleet {
        gateways: 3,
        on_database: true,
    },
];

fn main() {
    let rate = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let rate: u32 = rate.unwrap_or(500);
    let database = Postgres::start();
    let home = home(Some(&database));
    let loaded = config::load(Some(&home.config()), None).expect("a configuration");
    let store = Store::of(&loaded.config.directory).expect("a URL");
    store.migrate().expect("a schema");
    let directory = Directory::read(&home.path("directory.toml")).expect("a directory");
    store.import(&directory, false).expect("an empty database");

    println!("{rate} requests a second to each gateway, {ROUNDS} rounds of {TIME:?}\n");
    let mut rounds = FLEETS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (fleet, rounds) in FLEETS.iter().zip(&mut rounds) {
            rounds.push(run(*fleet, &database, rate));
        }
    }
    let medians = rounds.map(|mut rounds| {
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    });
    for (fleet, median) in FLEETS.iter().zip(medians) {
        let times = median / medians[0];
        let is_met = if (times - 1.0).abs() <= FLAT {
            "met"
        } else {
            "missed"
        };
        let directory = if fleet.on_database {
            "a database"
        } else {
            "a file"
        };
        println!(
            "{} on {directory}: {median:.1} µs of CPU a request, {times:.3} × (aim ± {FLAT}: {is_met})",
            fleet.gateways
        );
    }
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

/// Returns the microseconds of CPU time that a request costs all gateways together, on average.
fn run(fleet: Fleet, database: &Postgres, rate: u32) -> f64 {
    let mut gateways: Vec<_> = (0..fleet.gateways)
        .map(|index| {
            let home = home(fleet.on_database.then_some(database));
            let home = home.set("server.name", format!("gw-{index}"));
            let mut command = home.command(env!("CARGO_BIN_EXE_iem-gateway"));
            command.arg("serve");
            home.spawn_by(command)
        })
        .collect();
    let keys = ["a".to_owned()];
    let loads: Vec<_> = gateways
        .iter()
        .map(|gateway| {
            let token = gateway.token("alice");
            OpenLoop::start(gateway.address, &token, "event", rate, &keys)
        })
        .collect();
    // Without the start and the log-in.
    thread::sleep(Duration::from_secs(1));
    let before = cpu(&mut gateways);
    let began = std::time::Instant::now();
    thread::sleep(TIME);
    let ended = std::time::Instant::now();
    let used = cpu(&mut gateways).saturating_sub(before);
    let mut requests = 0;
    for load in loads {
        let calls = load.stop().between(began, ended);
        assert!(
            calls.0.iter().all(|call| call.status == 200),
            "a request failed"
        );
        requests += calls.0.len();
    }
    used.as_secs_f64() * 1e6 / f64::from(u32::try_from(requests).expect("not so many"))
}

/// Returns the CPU time that the gateways have taken.
fn cpu(gateways: &mut [Gateway]) -> Duration {
    let of_one = |gateway: &mut Gateway| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", gateway.pid()));
        let stat = stat.expect("the process stands");
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |index| fields.split_whitespace().nth(index)?.parse::<u32>().ok();
        // User and kernel time: fields 14 and 15 of proc(5).
        let ticks = ticks(11).zip(ticks(12)).expect("times");
        TICK * (ticks.0 + ticks.1)
    };
    gateways.iter_mut().map(of_one).sum()
}
