//! The machine of a run, and how busy it was with other work.

use std::fmt;
use std::fs;

use serde::Serialize;

#[derive(Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub threads: usize,
    /// The load average of the minute before the first case: other programs' work.
    pub load: f64,
    pub date: String,
}

impl Machine {
    /// Reads the machine's properties from `/proc`.
    pub fn read(threads: usize, date: &str) -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: processor.unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.trim().to_owned(),
            threads,
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(f64::NAN),
            date: date.to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            kernel,
            threads,
            load,
            date,
        } = self;
        write!(
            f,
            "{date}: {cores} cores of {processor}, Linux {kernel}; {threads} serving threads, as \
             many for bare hyper. Clients and backends share the machine; its load before the run \
             was {load}."
        )
    }
}
