//! A benchmark of a directory in a real PostgreSQL with a million users and a million customers:
//! `cargo bench --bench directory`, or `-- COUNT` for as many of each as that.
//!
//! It starts the database itself. The times are those of gateways' directories in this process.

#![allow(missing_docs)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use iem_gateway::config::{self, Config};
use iem_gateway::identity::directory::{Directory, LiveDirectory, Store};
use iem_test_support::Home;
use iem_test_support::brokers::postgres::Postgres;

/// The longest start that is aimed at.
const START_MAX: Duration = Duration::from_secs(5);
/// The longest time from a change to the gateways that is aimed at.
const CHANGE_MAX: Duration = Duration::from_secs(1);
const CHANGES: usize = 20;

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let count: usize = count.unwrap_or(1_000_000);
    let database = Postgres::start();
    let home = |name: &str| {
        Home::new()
            .set("directory.type", "postgres")
            .set("directory.url", database.url())
            .set("directory.snapshot", "snapshot.toml")
            .set("server.name", name)
    };
    let (first, second) = (home("first"), home("second"));
    let config = |home: &Home| -> Config {
        let loaded = config::load(Some(&home.config()), None);
        loaded.expect("a configuration").config
    };
    let store = Store::of(&config(&first).directory).expect("a URL");
    store.migrate().expect("a schema");
    let began = Instant::now();
    database.run(&fill(count));
    println!(
        "{count} users, as many customers and associations: filled in {:.1?}\n",
        began.elapsed()
    );

    let before = resident_bytes();
    let (directory, took) = timed(|| LiveDirectory::of(&config(&first)).expect("a directory"));
    report("start", took, START_MAX);
    let grown = resident_bytes().saturating_sub(before);
    println!("  {} bytes a user with a customer", grown / count as u64);
    assert_eq!(directory.load().user_count(), count);

    let other = LiveDirectory::of(&config(&second)).expect("a directory");
    let _threads = [&directory, &other].map(|directory| directory.follow().expect("threads"));
    let all = [&directory, &other];
    // Until they listen.
    change(&database, &all, "ready");
    let mut times: Vec<_> = (0..CHANGES)
        .map(|number| change(&database, &all, &format!("new{number}")))
        .collect();
    times.sort();
    println!("\nA new user, until two gateways know it:");
    report("median", times[CHANGES / 2], CHANGE_MAX);
    report("longest", times[CHANGES - 1], CHANGE_MAX);
    let ((), took) = timed(|| {
        database.run("UPDATE iem_gateway.users SET enabled = false WHERE email < 'u2'");
        wait(&all, |directory| {
            !directory.user("u1@example.com").expect("a user").enabled
        });
    });
    println!("\nA tenth of all users disabled at once, until both know it: {took:.1?}");

    let copy = first.path("snapshot.toml");
    let ((), took) = timed(|| wait_for_copy(&copy, &directory));
    println!(
        "\nThe copy on the disk: {} MB, written within {took:.1?}",
        megabytes(&copy)
    );
    let (_, took) = timed(|| Directory::read(&copy).expect("a directory"));
    report("a start from it", took, START_MAX);
}

fn report(what: &str, took: Duration, aim: Duration) {
    let is_met = if took <= aim { "met" } else { "missed" };
    println!("{what}: {took:.2?} (aim {aim:?}: {is_met})");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

/// Adds a user, and returns the time until all know it.
fn change(database: &Postgres, all: &[&LiveDirectory], name: &str) -> Duration {
    let add = format!(
        "INSERT INTO iem_gateway.users (email, name, password)
         SELECT '{name}', 'New', password FROM iem_gateway.users LIMIT 1"
    );
    database.run(&add);
    // psql has taken its time.
    let ((), took) = timed(|| wait(all, |directory| directory.user(name).is_some()));
    took
}

fn wait(all: &[&LiveDirectory], holds: impl Fn(&Directory) -> bool) {
    while !all.iter().all(|directory| holds(&directory.load())) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_for_copy(copy: &Path, directory: &LiveDirectory) {
    let count = directory.load().user_count();
    loop {
        let text = fs::read_to_string(copy).unwrap_or_default();
        if text.matches("[[user]]").count() == count && text.contains("enabled = false") {
            return;
        }
        drop(text);
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn megabytes(file: &Path) -> u64 {
    fs::metadata(file).expect("a file").len() / 1_000_000
}

/// Returns the memory that this process holds.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").expect("this process");
    let pages = status
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number") * 4096
}

/// SQL that makes users and customers, each user with a customer of its own.
fn fill(count: usize) -> String {
    format!(
        "BEGIN;
         SELECT set_config('iem_gateway.bulk', 'on', true);
         INSERT INTO iem_gateway.customers (id, name)
             SELECT 'c' || i, 'Customer ' || i FROM generate_series(1, {count}) AS i;
         INSERT INTO iem_gateway.users (email, name, password)
             SELECT 'u' || i || '@example.com', 'User ' || i,
                 '$argon2id$v=19$m=19456,t=2,p=1$'
                 || rtrim(encode(decode(md5(i::text), 'hex'), 'base64'), '=') || '$'
                 || rtrim(encode(decode(md5('a' || i) || md5('b' || i), 'hex'), 'base64'), '=')
             FROM generate_series(1, {count}) AS i;
         INSERT INTO iem_gateway.associations (email, customer)
             SELECT 'u' || i || '@example.com', 'c' || i FROM generate_series(1, {count}) AS i;
         SELECT iem_gateway.note_all('import');
         COMMIT;
         ANALYZE;"
    )
}
