//! The rules that a configuration breaks.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::bounds::{duration, size};
use crate::config::{Error, Errors, Origin};

/// The rules that are broken, as key and message.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<(String, String)>);

impl Faults {
    /// Returns `value` if no rule is broken, else all faults, as written at `origin`.
    pub(super) fn or<T>(self, value: T, origin: &Origin) -> Result<T, Errors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        let error = |(key, message)| Error {
            origin: origin.clone(),
            key: Some(key),
            message,
        };
        Err(Errors(self.0.into_iter().map(error).collect()))
    }

    pub(super) fn require(&mut self, holds: bool, key: &str, message: impl Into<String>) {
        if !holds {
            self.0.push((key.to_owned(), message.into()));
        }
    }

    pub(super) fn count(&mut self, key: &str, value: usize, limits: RangeInclusive<usize>) {
        self.within(key, value, limits, |count| count);
    }

    pub(super) fn size(&mut self, key: &str, value: usize, limits: RangeInclusive<usize>) {
        self.within(key, value, limits, size);
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        value: Duration,
        limits: RangeInclusive<Duration>,
    ) {
        self.within(key, value, limits, duration);
    }

    fn within<T: Copy + PartialOrd, D: Display>(
        &mut self,
        key: &str,
        value: T,
        limits: RangeInclusive<T>,
        show: fn(T) -> D,
    ) {
        let min = show(*limits.start());
        let max = show(*limits.end());
        self.require(
            limits.contains(&value),
            key,
            format!("must be {min} to {max}, is {}", show(value)),
        );
    }
}
