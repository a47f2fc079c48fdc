//! The deadlines of a connection.
//!
//! They follow from the phase that the socket has noted. The phase is read when a timer goes off,
//! never at each poll.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use super::limits::ConnectionLimits;
use super::responder::Responder;
use super::socket::{Notes, Phase, Socket};
use crate::telemetry::Limit;

/// Bytes of frames, beyond a connection's window, that may arrive while no request is open: as many
/// as pings and settings take in years.
const UNASKED_MAX: usize = 1 << 20;

/// The deadlines of one connection.
pub(super) struct Deadlines<'a, S, R> {
    socket: Socket<S>,
    pub(super) limits: ConnectionLimits<'a>,
    pub(super) responder: &'a R,
    /// The time from which on the next request is the connection's last.
    pub(super) last_request: Option<Instant>,
    /// The time at which the connection began to close, and the time that its client has then to
    /// read its last answer, or to send the rest of a request's head.
    closing: Option<(Instant, Duration)>,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer wakes the task, no later than the shortest limit after it was armed.
    is_armed: bool,
}

impl<'a, S, R: Responder> Deadlines<'a, S, R> {
    pub(super) fn new(socket: Socket<S>, limits: ConnectionLimits<'a>, responder: &'a R) -> Self {
        let timer = Box::pin(tokio::time::sleep(limits.header_timeout));
        Self {
            socket,
            limits,
            responder,
            last_request: limits.max_age.map(|age| Instant::now() + age),
            closing: None,
            timer,
            is_armed: false,
        }
    }

    /// Shortens the deadlines: from now on the client has `time` to read its last answer, or to
    /// send the rest of a request's head.
    pub(super) fn begin_closing(&mut self, time: Duration) {
        self.closing = Some((Instant::now(), time));
    }

    /// Runs `connection` to its end.
    ///
    /// # Errors
    /// [`TimedOut`](io::ErrorKind::TimedOut) if a deadline passes before.
    pub(super) async fn bound<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
    ) -> io::Result<C::Output> {
        self.is_armed = false;
        poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_passed(context).map(|limit| {
                limit.inspect(|limit| self.responder.reached(*limit));
                Err(io::ErrorKind::TimedOut.into())
            }),
        })
        .await
    }

    /// Ready once a deadline has passed.
    ///
    /// The phase is read when the timer goes off. A phase that has begun since the timer was armed
    /// cannot be due before that. The deadline of an older phase stays, or moves back: a request
    /// has longer than its head.
    fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<Option<Limit>> {
        if self.is_armed && !self.timer.is_elapsed() && !self.is_flooded(&self.socket.notes()) {
            return Poll::Pending;
        }
        loop {
            let due = self.due();
            let now = Instant::now();
            if let Some((_, limit)) = due.filter(|(due, _)| *due <= now) {
                return Poll::Ready(limit);
            }
            let later = now + self.shortest();
            self.timer
                .as_mut()
                .reset(due.map_or(later, |(due, _)| due.min(later)));
            self.is_armed = true;
            // Unconstrained: a task that has used up its turn would be told to come again, and the
            // timer would not know whom to wake.
            ready!(pin!(unconstrained(self.timer.as_mut())).poll(context));
        }
    }

    /// Returns the shortest of the limits that may begin from now on.
    fn shortest(&self) -> Duration {
        let ConnectionLimits {
            header_timeout,
            idle_timeout,
            request_timeout,
            write_timeout,
            ..
        } = self.limits;
        let shortest = header_timeout
            .min(idle_timeout)
            .min(request_timeout)
            .min(write_timeout);
        match self.closing {
            Some((_, time)) => shortest.min(time),
            None => shortest,
        }
    }

    /// Whether more has come over HTTP/2 than a client has to say while no request is open.
    fn is_flooded(&self, notes: &Notes) -> bool {
        let window = self.limits.http2.map_or(0, |http2| http2.connection_window);
        matches!(notes.phase, Phase::Quiet(_)) && notes.received > window + UNASKED_MAX
    }

    /// Returns the next deadline as the connection is now, and its limit; a deadline of closing has
    /// none.
    fn due(&self) -> Option<(Instant, Option<Limit>)> {
        let notes = self.socket.notes();
        let write = notes
            .stalled
            .map(|since| (since + self.limits.write_timeout, Some(Limit::WriteTime)));
        let flooded = self.is_flooded(&notes).then(|| {
            let limit = self.closing.is_none().then_some(Limit::Http2Abuse);
            (Instant::now(), limit)
        });
        [self.phase_due(&notes), write, flooded]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }

    /// Returns the deadline of the connection's phase.
    fn phase_due(&self, notes: &Notes) -> Option<(Instant, Option<Limit>)> {
        let ConnectionLimits {
            idle_timeout,
            header_timeout,
            request_timeout,
            ..
        } = self.limits;
        let (since, time, limit) = match notes.phase {
            // The client does not take an answer, so the last byte of that answer is still to be
            // sent, whatever has come behind its request.
            Phase::Idle(_) | Phase::Head(_) if notes.stalled.is_some() => {
                (notes.request, request_timeout, Limit::RequestTime)
            }
            Phase::Answering => (notes.request, request_timeout, Limit::RequestTime),
            Phase::Idle(since) | Phase::Quiet(since) => (since, idle_timeout, Limit::Idle),
            Phase::Head(since) | Phase::Silent(since) => (since, header_timeout, Limit::HeaderTime),
            Phase::Streams => return None,
        };
        let due = since + time;
        if let Some((began, time)) = self.closing
            && !matches!(notes.phase, Phase::Answering)
        {
            let closed = since.max(began) + time;
            if closed < due {
                return Some((closed, None));
            }
        }
        Some((due, Some(limit)))
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use hyper::body::Incoming;
    use tokio::task::coop::{consume_budget, has_budget_remaining};

    use super::*;
    use crate::http::transport::application::Reply;

    struct Silent;

    impl Responder for Silent {
        async fn answer(&self, _request: Request<Incoming>) -> Reply {
            unreachable!("no request comes")
        }
    }

    #[tokio::test]
    async fn a_deadline_holds_when_the_task_had_used_up_its_turn_as_it_was_armed() {
        let (stream, _client) = tokio::io::duplex(1);
        let mut deadlines = Deadlines::new(
            Socket::new(stream),
            ConnectionLimits::of_tests(Duration::from_millis(50)),
            &Silent,
        );
        let mut is_first = true;
        let connection = pin!(poll_fn(|context| {
            while is_first && has_budget_remaining() {
                let _ = pin!(consume_budget()).poll(context);
            }
            is_first = false;
            Poll::<()>::Pending
        }));
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("nobody woke the task"),
            ended = deadlines.bound(connection) => {
                assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
        }
    }
}
