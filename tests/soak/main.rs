//! The soak: two gateways, one on plain HTTP and one behind TLS, at full load with all limits being
//! hit. Memory stays flat, no thread and no descriptor is left behind, and every record answered
//! 200 is in the files, once.
//!
//! `scripts/soak` runs it, for ten minutes or as many seconds as it is told. It prints its
//! statistics. A second soak is that of [`weather`].

mod adversary;
mod bad;
mod client;
mod good;
mod limits;
mod site;
mod statistics;
mod tally;
mod weather;

use std::iter;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use client::Client;
use good::Shape;
use iem_test_support::{TOPICS, for_each_line, get};
use limits::{IDLE, LIMITS};
use site::Site;
use statistics::{Sample, Statistics, mebibytes, median_resident_kb};

const SECONDS: u64 = 600;
/// The time in which caches and buffers come to their size; a shorter soak takes a third of its
/// time.
const WARM_UP: u64 = 120;
/// The bound on growth of memory after the warm-up: the noise of an allocator with two serving
/// threads. A leak of 100 bytes a request is far above it within minutes.
const GROWTH_KB_MAX: u64 = 16 << 10;
/// The time for what idles to be closed: files, connections that linger, threads of the blocking pool.
const SETTLE: Duration = Duration::from_mins(1);

#[test]
#[ignore = "takes minutes of a whole machine: scripts/soak"]
fn memory_threads_and_descriptors_stay() {
    let seconds = seconds();
    let mut sites = [Site::plain(), Site::secured()];
    let before = sites.each_ref().map(settled);
    let statistics = sites.each_ref().map(|_| Statistics::default());
    load(&sites, &statistics, seconds);

    let mut faults = Vec::new();
    for ((site, statistics), before) in sites.iter().zip(&statistics).zip(before) {
        eprintln!("{}", statistics.table(site));
        faults.extend(limits_not_hit(site, seconds));
        faults.extend(left_behind(site, before));
        faults.extend(memory(site, &statistics.samples(), seconds));
        faults.extend(answers(site));
    }
    for site in &mut sites {
        faults.extend(ends_in_order(site));
        faults.extend(records(site));
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// Returns the time that a soak is to take.
fn seconds() -> u64 {
    std::env::var("SOAK_SECONDS")
        .ok()
        .map_or(SECONDS, |text| text.parse().expect("seconds"))
}

/// A client's act that runs into limits.
type Trouble = fn(&Site);

/// The process once it has nothing to do.
fn settled(site: &Site) -> Sample {
    thread::sleep(Duration::from_secs(2));
    Sample::of(site, Duration::ZERO)
}

/// Lets all clients at both gateways, and ends them.
fn load(sites: &[Site; 2], statistics: &[Statistics; 2], seconds: u64) {
    thread::scope(|scope| {
        for (site, statistics) in sites.iter().zip(statistics) {
            let row = Duration::from_secs((seconds / 10).clamp(5, 60));
            scope.spawn(move || statistics.watch(site, row, seconds));
            scope.spawn(|| idle(site));
            let shapes = [
                Shape::Single,
                Shape::Single,
                Shape::Single,
                Shape::Single,
                Shape::Array(30),
                Shape::Array(30),
                Shape::Lines(16),
                Shape::Compressed("gzip", 10),
                Shape::Compressed("zstd", 30),
                Shape::Compressed("zlib", 1),
            ];
            for (client, shape) in shapes.into_iter().enumerate() {
                scope.spawn(move || good::publish(site, shape, client));
            }
            for client in 0..3 {
                scope.spawn(move || good::publish_over_http2(site, 12, client));
            }
            let seldom = Duration::from_secs(2);
            let often = Duration::from_millis(100);
            let troubles: [(Duration, Trouble); 9] = [
                (often, bad::oversized),
                (often, bad::slow),
                (often, bad::hog),
                (seldom, bad::crowd),
                (often, bad::resets),
                (often, bad::guess),
                (often, bad::flood),
                (often * 5, bad::reload_directory),
                (
                    seldom,
                    if site.authority.is_some() {
                        secured_troubles
                    } else {
                        bad::abuse_http2
                    },
                ),
            ];
            for (pause, trouble) in troubles {
                scope.spawn(move || bad::again(site, pause, trouble));
            }
        }
        thread::sleep(Duration::from_secs(seconds));
        for site in sites {
            site.tally.stop();
        }
    });
}

fn secured_troubles(site: &Site) {
    bad::reload_certificate(site);
    bad::silent(site);
}

fn is_served(client: &mut Client) -> bool {
    let reply = client.exchange(&get("/publish/healthcheck/").bytes());
    reply.is_some_and(|reply| reply.status == 200)
}

/// A client that says nothing more until the gateway ends the connection.
fn idle(site: &Site) {
    // The load begins at the same time, and may have taken every place for a moment.
    let Some(mut client) = iter::repeat_with(|| site.door.open().ok())
        .take_while(|_| site.tally.goes_on())
        .flatten()
        .find_map(|mut client| is_served(&mut client).then_some(client))
    else {
        return;
    };
    while site.tally.goes_on() && !client.has_ended() {
        thread::sleep(Duration::from_millis(100));
    }
    site.tally.hit_if(IDLE, site.tally.goes_on());
}

fn limits_not_hit(site: &Site, seconds: u64) -> Vec<String> {
    let limits = || LIMITS.iter().filter(|limit| limit.is_of(site, seconds));
    let hits: Vec<_> = limits()
        .map(|limit| format!("{}: {}", limit.name, limit.hits(site)))
        .collect();
    eprintln!(
        "limits hit at the {} gateway: {}\n",
        site.label,
        hits.join(", ")
    );
    let missed = limits().filter(|limit| limit.hits(site) == 0);
    missed
        .map(|limit| format!("{}: never hit: {}", site.label, limit.name))
        .collect()
}

/// Threads and descriptors that are there though nobody is.
fn left_behind(site: &Site, before: Sample) -> Vec<String> {
    let is_back =
        |now: Sample| now.threads <= before.threads && now.descriptors <= before.descriptors;
    let mut now = Sample::of(site, Duration::ZERO);
    for _ in 0..SETTLE.as_secs() {
        if is_back(now) {
            break;
        }
        thread::sleep(Duration::from_secs(1));
        now = Sample::of(site, Duration::ZERO);
    }
    eprintln!(
        "{}: before {before:?}\n{}: after  {now:?}\n",
        site.label, site.label
    );
    if is_back(now) {
        None
    } else {
        Some(format!(
            "{}: left behind: {now:?} of {before:?}",
            site.label
        ))
    }
    .into_iter()
    .collect()
}

fn memory(site: &Site, samples: &[Sample], seconds: u64) -> Vec<String> {
    let warm = WARM_UP.min(seconds / 3);
    let window = (seconds - warm) / 5;
    let median = |from: u64, to| {
        median_resident_kb(samples, Duration::from_secs(from), Duration::from_secs(to))
    };
    let (warm, end) = (
        median(warm, warm + window),
        median(seconds - window, seconds),
    );
    let (peak, ceiling) = (site.status("VmHWM"), site.ceiling() / 1024);
    eprintln!(
        "{}: {:.1} MiB once warm, {:.1} MiB at the end, {:.1} MiB at most; \
         `check` allows {:.1} MiB\n",
        site.label,
        mebibytes(warm),
        mebibytes(end),
        mebibytes(peak),
        mebibytes(ceiling)
    );
    let grown = (end > warm + GROWTH_KB_MAX).then(|| format!("{}: memory grows", site.label));
    let beyond =
        (peak > ceiling).then(|| format!("{}: memory is beyond what `check` says", site.label));
    grown.into_iter().chain(beyond).collect()
}

/// Load makes no fault of the gateway's own, and no status that clients take for an invitation.
fn answers(site: &Site) -> Vec<String> {
    const KNOWN: [u16; 8] = [0, 200, 400, 401, 413, 429, 431, 503];
    let answers = site.tally.counts().answers;
    let unknown: Vec<_> = answers
        .keys()
        .filter(|status| !KNOWN.contains(status))
        .collect();
    if unknown.is_empty() {
        Vec::new()
    } else {
        vec![format!("{}: answers {unknown:?}", site.label)]
    }
}

fn ends_in_order(site: &mut Site) -> Option<String> {
    site.gateway.signal(Signal::TERM);
    let status = site.gateway.wait();
    let panics = site.gateway.log().matches("panicked").count();
    let fault = format!("{}: ended with {status:?}, {panics} panics", site.label);
    (status.code() != Some(0) || panics > 0).then_some(fault)
}

/// Every record answered 200 is there once, and none that was refused.
fn records(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    for topic in TOPICS {
        for_each_line(&site.gateway.home.path("data").join(topic), |line| {
            found.push(id(line));
        });
    }
    found.sort_unstable();
    let twice = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let mut ledger = site.tally.ledger();
    ledger.published.sort_unstable();
    let published = &ledger.published;
    let lost = published
        .iter()
        .filter(|id| found.binary_search(id).is_err())
        .count();
    let known = |id: &u64| published.binary_search(id).is_ok() || ledger.perhaps.contains(id);
    let refused = found.iter().filter(|id| !known(id)).count();
    let account = format!(
        "{}: {} records answered 200, {} in the files; \
         {lost} lost, {twice} twice, {refused} refused and there",
        site.label,
        published.len(),
        found.len()
    );
    eprintln!("{account}");
    if published.is_empty() || lost + twice + refused > 0 {
        vec![account]
    } else {
        Vec::new()
    }
}

/// The id that a client of the soak put into its record.
fn id(line: &[u8]) -> u64 {
    let text = std::str::from_utf8(line).expect("lines are text");
    let id = text
        .split_once(r#""test_id":""#)
        .and_then(|(_, rest)| rest.split('"').next());
    id.and_then(|id| id.parse().ok())
        .expect("an id of the soak")
}
