use std::future::Future;
use std::pin::pin;
use std::task::{Context, Wake, Waker};

use super::*;

fn budget(max_connections: usize) -> Arc<ConnectionBudget> {
    ConnectionBudget::new(max_connections, &Metrics::new(0).expect("metrics"))
}

/// Returns permits, all that there are. Each connection is idle for a second longer than the next
/// one; those at these indexes have credentials.
fn taken(count: u64, authenticated: &[u64]) -> Vec<ConnectionPermit> {
    let budget = budget(usize::try_from(count).expect("a small number"));
    let permit = |index| {
        let permit = budget.try_acquire().expect("one is left");
        permit.begin();
        permit.busy();
        if authenticated.contains(&index) {
            permit.authenticate();
        }
        permit.idle(budget.started + Duration::from_secs(index));
        permit
    };
    let permits = (0..count).map(permit).collect();
    assert!(budget.try_acquire().is_none());
    permits
}

/// Returns the indexes of the connections that were told to leave.
fn leaving(permits: &[ConnectionPermit]) -> Vec<usize> {
    let indexes = permits.iter().enumerate();
    let leaving = indexes.filter(|(_, permit)| permit.is_leaving());
    leaving.map(|(index, _)| index).collect()
}

#[test]
fn the_longest_idle_without_credentials_leave_first() {
    let permits = taken(6, &[0, 1, 4]);
    permits[0].budget.tell_to_leave(1);
    assert_eq!(leaving(&permits), [2]);
    permits[0].budget.tell_to_leave(2);
    assert_eq!(leaving(&permits), [2, 3, 5]);
}

#[test]
fn without_any_left_the_longest_idle_with_credentials_follow() {
    let permits = taken(4, &[0, 1, 2]);
    permits[0].busy();
    permits[0].idle(permits[0].budget.started + Duration::from_secs(9));
    permits[0].budget.tell_to_leave(3);
    assert_eq!(leaving(&permits), [1, 2, 3]);
}

#[test]
fn a_connection_stays_until_its_thread_has_come_to_it() {
    let budget = budget(2);
    let [first, second] = [budget.try_acquire(), budget.try_acquire()];
    let permits = [first, second].map(|permit| permit.expect("one is left"));
    permits[1].authenticate();
    permits[1].begin();
    budget.tell_to_leave(2);
    assert!(
        leaving(&permits).is_empty(),
        "the other one is to leave first"
    );
    permits[0].begin();
    budget.tell_to_leave(1);
    assert_eq!(leaving(&permits), [0]);
    budget.tell_to_leave(1);
    assert_eq!(leaving(&permits), [0, 1]);
}

#[test]
fn a_request_that_is_being_answered_keeps_its_connection() {
    let permits = taken(2, &[]);
    permits[0].busy();
    permits[0].budget.tell_to_leave(2);
    assert_eq!(leaving(&permits), [1]);
    permits[0].idle(Instant::now());
    permits[0].budget.tell_to_leave(2);
    assert_eq!(leaving(&permits), [0, 1]);
}

#[test]
fn a_request_that_begins_in_time_keeps_its_connection() {
    let permits = taken(2, &[]);
    let budget = &permits[0].budget;
    budget.make_room();
    budget.make_room();
    assert_eq!(leaving(&permits), [0], "one place is on its way");
    permits[0].busy();
    assert!(leaving(&permits).is_empty());
    budget.make_room();
    assert_eq!(leaving(&permits), [1], "the next one leaves in its place");
}

#[tokio::test]
async fn a_newcomer_waits_for_the_one_that_leaves() {
    let mut permits = taken(2, &[1]);
    let budget = Arc::clone(&permits[0].budget);
    let first = permits.remove(0);
    let leave = async {
        first.told_to_leave().await;
        drop(first);
    };
    let (newcomer, ()) = tokio::join!(budget.acquire(), leave);
    assert!(newcomer.is_some());
    assert_eq!(budget.leaving.load(Ordering::Relaxed), 0);
    assert!(leaving(&permits).is_empty());
}

#[tokio::test]
async fn a_newcomer_is_rejected_when_nobody_leaves() {
    let permits = taken(2, &[]);
    permits[0].busy();
    let budget = &permits[0].budget;
    assert!(budget.acquire().await.is_none());
    assert_eq!(leaving(&permits), [1], "it was told, and did not hear");
    permits[1].busy();
    assert!(budget.acquire().await.is_none());
}

#[tokio::test]
async fn room_is_made_before_the_last_permit_is_taken() {
    let budget = budget(256);
    let mut permits = Vec::new();
    for _ in 0..252 {
        permits.push(budget.acquire().await.expect("room"));
        permits[permits.len() - 1].begin();
    }
    assert!(leaving(&permits).is_empty(), "four are spare");
    for permit in &permits {
        permit.busy();
        permit.idle(budget.started + Duration::from_secs(1));
    }
    permits[7].busy();
    permits[7].idle(budget.started);
    permits.push(budget.acquire().await.expect("room"));
    assert_eq!(leaving(&permits), [7]);
    drop(permits);
    assert_eq!(budget.free.lock().len(), 256);
    assert_eq!(budget.leaving.load(Ordering::Relaxed), 0);
    let slots = budget.slots.iter();
    assert!(
        slots
            .map(|slot| slot.state.load(Ordering::Relaxed))
            .all(|state| state == FREE)
    );
}

#[test]
fn a_connection_that_was_told_to_leave_still_has_to_when_it_is_idle_again() {
    let permits = taken(1, &[]);
    let budget = &permits[0].budget;
    budget.tell_to_leave(1);
    permits[0].idle(Instant::now());
    assert_eq!(leaving(&permits), [0]);
    permits[0].busy();
    permits[0].idle(Instant::now());
    assert!(leaving(&permits).is_empty());
    assert_eq!(budget.leaving.load(Ordering::Relaxed), 0);
}

#[test]
fn a_connection_that_stayed_is_woken_when_it_is_told_again() {
    let permits = taken(1, &[]);
    let budget = &permits[0].budget;
    let (waker, count) = counting_waker();
    let mut context = Context::from_waker(&waker);
    let mut told = pin!(permits[0].told_to_leave());
    for round in 1..4 {
        assert!(told.as_mut().poll(&mut context).is_pending());
        budget.tell_to_leave(1);
        assert_eq!(count.load(Ordering::Relaxed), round);
        // A request's first bytes came before its task was polled.
        permits[0].busy();
        assert!(told.as_mut().poll(&mut context).is_pending());
        permits[0].idle(Instant::now());
    }
    budget.tell_to_leave(1);
    assert!(told.as_mut().poll(&mut context).is_ready());
}

/// Returns a waker, and how often it was woken.
fn counting_waker() -> (Waker, Arc<AtomicUsize>) {
    struct Count(Arc<AtomicUsize>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    (Waker::from(Arc::new(Count(Arc::clone(&count)))), count)
}

#[test]
fn requests_that_wait_without_credentials_let_their_connection_leave() {
    let permits = taken(1, &[]);
    let permit = &permits[0];
    let is_idle = || permit.slot().state.load(Ordering::Relaxed) >= IDLE;
    let first = permit.begin_answer();
    assert!(!is_idle());
    let waiting = permit.begin_waiting().expect("it is the first");
    assert!(is_idle());
    let other = permit.begin_answer();
    assert!(!is_idle(), "the other one is being answered");
    let also_waiting = permit.begin_waiting().expect("it is the second");
    assert!(is_idle() && permit.begin_waiting().is_none());
    drop((also_waiting, other));
    assert!(is_idle());
    permit.authenticate();
    assert!(!is_idle(), "it has proved its user");
    waiting.end();
    assert!(!is_idle(), "it is being answered");
    drop(first);
    assert!(is_idle());
}
