//! Tests of the windows: reports count for their own record, and waits end when they must.

use super::*;

const SOON: Duration = Duration::from_secs(30);

fn collected(window: &Window, numbers: &[usize]) -> Vec<Report> {
    let mut reports = Vec::new();
    let numbers: Vec<_> = numbers.iter().copied().map(Some).collect();
    window.collect(&numbers, |_, report| reports.push(report));
    reports
}

#[test]
fn a_wait_ends_when_the_last_awaited_report_is_in() {
    let in_flight = InFlight::default();
    let window = in_flight.open();
    let now = Instant::now();
    let first = window.add(2, now);
    in_flight.report(window.token(first + 1), Report::Delivered);
    assert_eq!(window.wait(now), Woken::DeadlinePassed);
    let failed = Report::Failed(RDKafkaErrorCode::MessageTimedOut);
    std::thread::scope(|scope| {
        scope.spawn(|| in_flight.report(window.token(first), failed));
        assert_eq!(window.wait(now + SOON), Woken::AllReported);
    });
    assert_eq!(
        collected(&window, &[first, first + 1]),
        [failed, Report::Delivered]
    );
    assert_eq!(window.len(), 0);
}

#[test]
fn a_late_report_counts_for_its_own_record_only() {
    let in_flight = InFlight::default();
    let window = in_flight.open();
    let now = Instant::now();
    let old = window.add(1, now);
    assert_eq!(collected(&window, &[old]), [Report::Pending]);
    let new = window.add(1, now);
    in_flight.report(window.token(old), Report::Delivered);
    assert_eq!(window.wait(now), Woken::DeadlinePassed);
    assert_eq!(window.resume(old), Report::Delivered);
    assert_eq!(collected(&window, &[new]), [Report::Pending]);
    assert_eq!(window.len(), 1);
    in_flight.report(window.token(old), Report::Delivered);
    assert_eq!(collected(&window, &[new]), [Report::Pending]);
}

#[test]
fn a_record_in_flight_can_be_awaited_again() {
    let in_flight = InFlight::default();
    let window = in_flight.open();
    let now = Instant::now();
    let number = window.add(1, now);
    assert_eq!(collected(&window, &[number]), [Report::Pending]);
    assert_eq!(window.wait(now), Woken::AllReported);
    assert_eq!(window.resume(number), Report::Pending);
    assert_eq!(window.resume(number), Report::Pending);
    assert_eq!(window.wait(now), Woken::DeadlinePassed);
    in_flight.report(window.token(number), Report::Delivered);
    assert_eq!(window.wait(now), Woken::AllReported);
}

#[test]
fn a_writer_that_takes_over_a_window_gets_none_of_the_old_reports() {
    let in_flight = InFlight::default();
    let window = in_flight.open();
    let now = Instant::now();
    let old = window.token(window.add(1, now));
    in_flight.close(window);
    let window = in_flight.open();
    let new = window.add(1, now);
    assert_ne!(window.token(new), old);
    in_flight.report(old, Report::Delivered);
    assert_eq!(collected(&window, &[new]), [Report::Pending]);
}

#[test]
fn an_interruption_ends_a_wait_once() {
    let in_flight = InFlight::default();
    let window = in_flight.open();
    let now = Instant::now();
    let number = window.add(1, now);
    in_flight.interrupt();
    assert_eq!(window.wait(now + SOON), Woken::Interrupted);
    assert_eq!(window.wait(now), Woken::DeadlinePassed);
    window.give_up(now + SOON);
    assert!(matches!(window.resume(number), Report::Failed(_)));
}
