//! Metrics of the process, under the names that Prometheus' own clients give them. Those that the
//! operating system does not tell stay 0.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, IntGauge};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::register::Register;
use super::totals::signed;

/// The metrics of this process.
pub(super) struct ProcessMetrics {
    register: Register,
    cpu_seconds: CounterVec,
    resident_bytes: IntGauge,
    threads: IntGauge,
    open_files: IntGauge,
    open_files_max: IntGauge,
}

impl ProcessMetrics {
    /// Creates the metrics of a process that starts now.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let register = Register::without_prefix();
        let started = register.gauge(
            "process_start_time_seconds",
            "Unix time at which the gateway started.",
        )?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        started.set(i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX));
        Ok(Self {
            cpu_seconds: register.seconds(
                "process_cpu_seconds_total",
                "CPU time of all threads, in user and system mode.",
                &[],
            )?,
            resident_bytes: register.gauge(
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM.",
            )?,
            threads: register.gauge("process_threads", "Threads of the process.")?,
            open_files: register.gauge("process_open_fds", "Open file descriptors.")?,
            open_files_max: register.gauge(
                "process_max_fds",
                "The bound on process_open_fds: the soft limit on open files.",
            )?,
            register,
        })
    }

    /// Returns the metrics with their values at this moment.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        let cpu_time = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 seconds")]
        let cpu_seconds = cpu_time.tv_sec as f64 + cpu_time.tv_nsec as f64 / 1e9;
        let counter = self.cpu_seconds.with_label_values::<&str>(&[]);
        counter.inc_by((cpu_seconds - counter.get()).max(0.0));

        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident_kib = number(&status, "VmRSS:").unwrap_or_default();
        self.resident_bytes.set(resident_kib.saturating_mul(1024));
        self.threads
            .set(number(&status, "Threads:").unwrap_or_default());

        self.open_files.set(open_files());
        let soft_limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        self.open_files_max
            .set(i64::try_from(soft_limit).unwrap_or(i64::MAX));
        self.register.gather()
    }
}

/// Returns the number of open file descriptors.
fn open_files() -> i64 {
    // From Linux 6.2 on, the size of the folder is their number.
    let told = fs::metadata("/proc/self/fd").map_or(0, |folder| folder.len());
    if told > 0 {
        return i64::try_from(told).unwrap_or(i64::MAX);
    }
    let counted = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // The descriptor of the folder itself is among them.
    signed(counted.saturating_sub(1))
}

/// Returns the number behind a name of `/proc/self/status`.
fn number(status: &str, name: &str) -> Option<i64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_those_of_this_process() {
        let metrics = ProcessMetrics::new().expect("metrics");
        let families = metrics.gather();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name);
            let metric = &family.unwrap_or_else(|| panic!("no {name}")).get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value()
        };
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_threads") >= 1.0);
        let open_files = value("process_open_fds");
        assert!(open_files >= 3.0 && open_files < value("process_max_fds"));
    }

    #[test]
    fn a_number_is_found_by_its_name() {
        let status = "VmPeak:\t  9 kB\nVmRSS:\t   1234 kB\nThreads:\t7\n";
        assert_eq!(number(status, "VmRSS:"), Some(1234));
        assert_eq!(number(status, "Threads:"), Some(7));
        assert_eq!(number(status, "VmSwap:"), None);
    }
}
