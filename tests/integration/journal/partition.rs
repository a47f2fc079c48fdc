//! A partition that is away: the records of the others pass those that are held back for it.

use std::thread::sleep;
use std::time::Instant;

use iem_test_support::{OpenLoop, read_kafka, test_ids};

use super::*;
use crate::backends::weather::dead_partition::{cluster, is_dead};

const DEADLINE: Duration = Duration::from_secs(3);
const AWAY: Duration = Duration::from_secs(10);

#[test]
fn a_dead_partition_holds_up_its_own_records_only() {
    let (kafka, _turn) = cluster();
    kafka.create_topic("journaled-partition", 3, 1, &[]);
    let broker = kafka.leader("journaled-partition", 0);
    let gateway = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "journaled-partition"))
        .set("topics.events.deadline", format!("{}s", DEADLINE.as_secs()))
        // Few records are on their way: more than those of the partition have to pass.
        .set("journal.window_records", 100)
        .start();
    let _books = gateway.watch_books();
    let keys: Vec<String> = (0..60).map(|number| format!("key-{number}")).collect();
    let token = gateway.token("alice");
    let load = OpenLoop::start(gateway.address, &token, "event", 200, &keys);
    sleep(Duration::from_secs(2));
    kafka.kill(broker);
    let killed = Instant::now();
    let mut slowest = Duration::ZERO;
    // Those who wait for the sink are served as before, all the time.
    let live = keys.iter().filter(|key| !is_dead(key)).cycle();
    for (number, key) in live.enumerate() {
        let asked = Instant::now();
        let answer = publish_as(&gateway, record(key, number), "delivered").expect(200);
        assert_eq!(answer.header("iem-durability"), Some("delivered"));
        slowest = slowest.max(asked.elapsed());
        if killed.elapsed() > AWAY {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    eprintln!("those who waited for the sink waited for {slowest:?} at most");
    let dead = keys.iter().find(|key| is_dead(key)).expect("a key");
    publish_as(&gateway, record(dead, 0), "delivered")
        .expect(503)
        .says_when_to_retry();
    let sent = load.stop();
    // About a third of ten seconds' records wait; all others have passed them.
    let live = sent.with(|call| !is_dead(&call.key));
    eventually(AMPLE, "those of the live partitions are there", || {
        forwarded(&gateway) >= f64::from(u32::try_from(live.0.len()).expect("few"))
    });
    assert!(backlog(&gateway) > 300.0, "{}", backlog(&gateway));
    kafka.restart(broker);
    let back = Instant::now();
    eventually(AMPLE, "the partition is served again", || {
        publish_as(&gateway, record(dead, 0), "delivered").status == 200
    });
    await_no_backlog(&gateway);
    eprintln!("all was there after {:?}", back.elapsed());
    all_accepted(&sent);
    let arrived = read_kafka(kafka, "journaled-partition");
    sent.all_there(&test_ids(&arrived));
    sent.in_order(&arrived);
}
