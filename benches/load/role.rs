//! What this program is when it has been started by itself: a server to compare with, or a worker
//! that does one thing as often as it can when it is told to.

mod bare_hyper;
mod bare_kafka;
mod bare_pubsub;
mod decode;
mod null_gateway;

use std::io::{self, BufRead as _, Write as _};
use std::time::{Duration, Instant};

/// Plays the role that the command line names, if it names one.
pub fn play(arguments: &[String]) -> bool {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["role", "bare-hyper", threads] => {
            bare_hyper::serve(threads.parse().expect("a number of threads"))
        }
        ["role", "null-gateway", config, delay_ms] => {
            null_gateway::serve(
                config,
                Duration::from_millis(delay_ms.parse().expect("a number")),
            );
        }
        ["role", "bare-kafka", bootstrap, topic] => {
            work(&mut bare_kafka::Bare::open(bootstrap, topic))
        }
        ["role", "bare-pubsub", endpoint, topic] => {
            work(&mut bare_pubsub::Bare::connect(endpoint, topic))
        }
        ["role", "decode", body] => work(&mut decode::Decode::new(body)),
        _ => return false,
    }
    true
}

/// One thing to be done again and again.
trait Work {
    /// Does it once, with so many records where it can choose.
    fn once(&mut self, records: usize);
}

/// On each line, `records milliseconds`, works for so long and answers how often. Ends when nobody
/// asks any more.
fn work(work: &mut impl Work) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (records, time) = line.split_once(' ').expect("two numbers");
        let records = records.parse().expect("a number of records");
        let end = Instant::now() + Duration::from_millis(time.parse().expect("a time"));
        let mut times = 0_u64;
        while Instant::now() < end {
            work.once(records);
            times += 1;
        }
        println!("{times}");
        io::stdout().flush().expect("somebody listens");
    }
}
