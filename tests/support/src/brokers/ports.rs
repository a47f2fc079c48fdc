//! Ports for servers that take a while to bind theirs: above the range that systems give to
//! outgoing connections, so that no client beside takes one meanwhile.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

/// Linux gives outgoing connections 32768 to 60999.
const RANGE: RangeInclusive<u16> = 61_000..=65_500;

/// So many ports that nobody listens on, none of which this process gets again soon.
pub(crate) fn free(count: usize) -> Vec<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = RANGE.end() - RANGE.start();
    // Test binaries may run beside one another.
    let offset = u16::try_from(std::process::id() % u32::from(size)).expect("below the size");
    let ports = std::iter::repeat_with(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        RANGE.start() + offset.wrapping_add(number) % size
    });
    ports
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .take(count)
        .collect()
}
