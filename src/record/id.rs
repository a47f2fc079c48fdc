//! The identifiers of records: UUID version 7 (RFC 9562), unique and ordered by time.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{ContextV7, Timestamp, Uuid, Variant};

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

/// Returns the identifier that the `id` of an event is the canonical text of, if it is of a version
/// that a gateway gives to records, as in what the file sink wrote.
pub fn id_of_gateway(id: &str) -> Option<Uuid> {
    let parsed = Uuid::try_parse(id).ok()?;
    let is_ours = matches!(parsed.get_version_num(), 7 | 8)
        && parsed.get_variant() == Variant::RFC4122
        && *parsed.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *id;
    is_ours.then_some(parsed)
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
    fn an_event_keeps_the_id_that_a_gateway_made() {
        for id in [
            "019d962a-7d5e-7abc-8def-0123456789ab",
            "019d962a-7d5e-8abc-bdef-0123456789ab",
            &next_id(at(1000)).to_string(),
        ] {
            assert_eq!(
                id_of_gateway(id).map(|id| id.to_string()).as_deref(),
                Some(id)
            );
        }
    }

    #[test]
    fn another_id_of_an_event_is_not_kept() {
        for id in [
            "",
            "1",
            "019d962a-7d5e-4abc-8def-0123456789ab",
            "019d962a-7d5e-7abc-cdef-0123456789ab",
            "019D962A-7D5E-7ABC-8DEF-0123456789AB",
            "019d962a7d5e7abc8def0123456789ab",
            "{019d962a-7d5e-7abc-8def-0123456789ab}",
            "urn:uuid:019d962a-7d5e-7abc-8def-0123456789ab",
            " 019d962a-7d5e-7abc-8def-0123456789ab",
        ] {
            assert_eq!(id_of_gateway(id), None, "{id}");
        }
    }

    #[test]
    fn a_clock_before_1970_is_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        thread::spawn(move || assert!(next_id(before).to_string().starts_with("00000000-0000-7")))
            .join()
            .expect("the id begins with time zero");
    }
}
