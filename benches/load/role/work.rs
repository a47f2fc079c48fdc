//! The work of a worker, repeated on orders from its parent.

use std::io::{self, BufRead as _, Write as _};
use std::time::{Duration, Instant};

/// A piece of work that a worker repeats.
pub trait Work {
    /// Does the work once, with `records` records if it can choose.
    fn once(&mut self, records: usize);
}

/// Reads orders from standard input, a line of `records milliseconds` each, and repeats the work
/// for that time. Answers each order with a line that says how often. Returns when the input ends.
pub fn repeat(work: &mut impl Work) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (records, time) = line.split_once(' ').expect("an order has two numbers");
        let records = records.parse().expect("the records are a number");
        let time = time.parse().expect("the time is a number");
        let end = Instant::now() + Duration::from_millis(time);
        let mut times = 0_u64;
        while Instant::now() < end {
            work.once(records);
            times += 1;
        }
        println!("{times}");
        io::stdout().flush().expect("the parent reads the answer");
    }
}
