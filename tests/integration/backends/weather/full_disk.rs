//! A disk that is full for three deadlines.

use std::fs::File;
use std::io::Write;

use iem_test_support::{Arrived, OpenLoop, SmallDisk, read_lines, test_ids};

use super::*;

const DEADLINE: Duration = Duration::from_secs(1);
/// Calls a second.
const RATE: u32 = if cfg!(debug_assertions) {
    300
} else {
    HIGH_RATE
};

#[test]
fn service_is_back_after_a_full_disk() {
    let home = Home::new()
        .set("topics.events.deadline", "1s")
        .set("sink.file.rotate_size", "1 MiB");
    let disk = SmallDisk::mount(&home, "data", 32);
    let (gateway, data) = (home.spawn_by(disk.serve(&home)), disk.path());
    let _books = gateway.watch_books();
    let token = gateway.token("alice");
    let load = OpenLoop::start(gateway.address, &token, "event", RATE, &keys(50));
    sleep(WATCH);
    let began = Instant::now();
    let filler = data.join("filler");
    let mut file = File::create(&filler).expect("a file");
    // Whatever the gateway frees meanwhile is taken too.
    while began.elapsed() < DEADLINE * 3 {
        while file.write_all(&[0; 4096]).is_ok() {}
        sleep(Duration::from_millis(5));
    }
    drop(file);
    std::fs::remove_file(&filler).expect("room again");
    let end = Instant::now();
    sleep(RECOVERY + WATCH);
    let calls = load.stop();

    let failed = calls.between(began, end).with(|call| call.status == 503);
    assert!(!failed.0.is_empty(), "the disk was full");
    calls.answered_within(DEADLINE);
    recovered(&calls, end);
    let lines = read_lines(&data.join("events")).into_iter();
    let arrived: Vec<Arrived> = lines.map(Arrived::from).collect();
    calls.all_there(&test_ids(&arrived));
    calls.in_order(&arrived);
    holds_nothing(&gateway);
}
