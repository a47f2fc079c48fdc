//! Log-ins that failed here, of which other gateways are to be told.

use std::net::IpAddr;

use parking_lot::Mutex;

use crate::identity::directory::Failures;

/// The most of them: with more, the rest is not told.
const UNTOLD_MAX: usize = 10_000;

/// Log-ins that failed here, if there are other gateways to tell.
#[derive(Default)]
pub(super) struct Untold(Option<Mutex<Failures>>);

impl Untold {
    /// Keeps them from now on.
    pub(super) fn keep(&mut self) {
        self.0 = Some(Mutex::default());
    }

    pub(super) fn count(&self, name: u32, peer: IpAddr) {
        if let Some(failures) = &self.0 {
            add(&mut failures.lock(), (name, peer), 1);
        }
    }

    pub(super) fn take(&self) -> Failures {
        let failures = self.0.as_ref();
        failures.map_or_else(Failures::new, |failures| {
            std::mem::take(&mut *failures.lock())
        })
    }

    pub(super) fn put_back(&self, untold: Failures) {
        if let Some(failures) = &self.0 {
            let mut failures = failures.lock();
            for (origin, count) in untold {
                add(&mut failures, origin, count);
            }
        }
    }
}

fn add(failures: &mut Failures, origin: (u32, IpAddr), count: u32) {
    if failures.len() < UNTOLD_MAX || failures.contains_key(&origin) {
        let all = failures.entry(origin).or_default();
        *all = all.saturating_add(count);
    }
}
