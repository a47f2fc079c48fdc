//! The identifiers of records: UUID version 7 (RFC 9562), unique and ordered by time.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{ContextV7, Timestamp, Uuid};

/// Returns an identifier for a record received `now`. On one thread each identifier is greater than
/// the one before, even if the clock steps back; across threads the order is exact to the
/// millisecond.
pub fn next_id(now: SystemTime) -> Uuid {
    thread_local! {
        static CONTEXT: ContextV7 = const { ContextV7::new() };
    }
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    CONTEXT.with(|context| {
        Uuid::new_v7(Timestamp::from_unix(
            context,
            since_epoch.as_secs(),
            since_epoch.subsec_nanos(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn an_id_contains_its_time() {
        let id = next_id(at(1_776_340_860_254));
        assert_eq!(id.get_version_num(), 7);
        assert!(id.to_string().starts_with("019d962a-7d5e-7"), "{id}");
    }

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_steps_back() {
        let times = [1000, 1000, 1000, 2000, 1, 0, 2000, 3000].map(at);
        let ids: Vec<_> = times
            .into_iter()
            .cycle()
            .take(10_000)
            .map(next_id)
            .collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn two_threads_never_make_the_same_id() {
        let threads = [(); 4].map(|()| thread::spawn(|| [(); 1000].map(|()| next_id(at(5000)))));
        let ids: HashSet<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("it ends"))
            .collect();
        assert_eq!(ids.len(), 4000);
    }

    #[test]
    fn a_clock_before_1970_is_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        thread::spawn(move || assert!(next_id(before).to_string().starts_with("00000000-0000-7")))
            .join()
            .expect("the id begins with time zero");
    }
}
