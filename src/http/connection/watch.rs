//! The limits of time that hold for a connection. Where it stands is looked at when a timer goes
//! off, never at each poll.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use super::{Application, ConnectionLimits, HURRY_TIME, Phase, Socket, http2};
use crate::telemetry::Limit;

/// Bounds the time of a connection, by where its socket says that it stands.
pub(super) struct Watch<'a, S, A> {
    pub(super) socket: Socket<S>,
    pub(super) limits: ConnectionLimits,
    /// Is told of limits that are reached.
    pub(super) application: &'a A,
    hurried: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer wakes the task, and no later than the shortest limit after it was armed.
    is_armed: bool,
}

impl<'a, S, A: Application> Watch<'a, S, A> {
    pub(super) fn new(socket: Socket<S>, limits: ConnectionLimits, application: &'a A) -> Self {
        let timer = Box::pin(tokio::time::sleep(limits.header_time));
        Self {
            socket,
            limits,
            application,
            hurried: None,
            timer,
            is_armed: false,
        }
    }

    /// From now on the client has little time for whatever it still has to do.
    pub(super) fn hurry(&mut self) {
        self.hurried = Some(Instant::now());
    }

    /// What becomes of `connection`, or an error when its time is up.
    pub(super) async fn over<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
    ) -> io::Result<C::Output> {
        self.is_armed = false;
        poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_due(context).map(|limit| {
                limit.inspect(|limit| self.application.reached(*limit));
                Err(io::ErrorKind::TimedOut.into())
            }),
        })
        .await
    }

    /// Ready when the time is up. Where the connection stands is looked at when the timer goes off:
    /// what has begun since it was armed cannot be due before. What had begun before is due
    /// when it was, or later: a request has longer than its head.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Option<Limit>> {
        if self.is_armed && !self.timer.is_elapsed() && !self.is_flooded() {
            return Poll::Pending;
        }
        loop {
            let (due, now) = (self.due(), Instant::now());
            if let Some((_, limit)) = due.filter(|(due, _)| *due <= now) {
                return Poll::Ready(limit);
            }
            let later = now + self.shortest();
            self.timer
                .as_mut()
                .reset(due.map_or(later, |(due, _)| due.min(later)));
            self.is_armed = true;
            // A task that has used up its turn would be told to come again, and the timer would not
            // know whom to wake.
            ready!(pin!(unconstrained(self.timer.as_mut())).poll(context));
        }
    }

    /// The shortest of the limits that may begin from now on.
    fn shortest(&self) -> Duration {
        let ConnectionLimits {
            header_time,
            idle_time,
            request_time,
            write_time,
            ..
        } = self.limits;
        let shortest = header_time.min(idle_time).min(request_time).min(write_time);
        if self.hurried.is_some() {
            shortest.min(HURRY_TIME)
        } else {
            shortest
        }
    }

    /// Whether more has come over HTTP/2 than a client has to say while no request is open.
    fn is_flooded(&self) -> bool {
        let noted = self.socket.0.borrow();
        let window = self
            .limits
            .http2
            .map_or(0, |limits| limits.connection_window as usize);
        matches!(noted.phase, Phase::Quiet(_)) && noted.came > window + http2::UNASKED_MAX
    }

    /// When the connection has had its time, as it stands now, and by which limit; none while it is
    /// hurried.
    fn due(&self) -> Option<(Instant, Option<Limit>)> {
        let noted = self.socket.0.borrow();
        let ConnectionLimits {
            idle_time,
            header_time,
            request_time,
            write_time,
            ..
        } = self.limits;
        let client = match noted.phase {
            // An answer that the client does not take has not had its last byte, whatever has come
            // behind its request.
            Phase::Idle(_) | Phase::Head(_) if noted.stalled.is_some() => {
                Some((noted.request, request_time, Limit::RequestTime))
            }
            Phase::Answering => Some((noted.request, request_time, Limit::RequestTime)),
            Phase::Idle(since) | Phase::Quiet(since) => Some((since, idle_time, Limit::Idle)),
            Phase::Head(since) | Phase::Silent(since) => {
                Some((since, header_time, Limit::HeaderTime))
            }
            Phase::Streams => None,
        };
        let hurried = self
            .hurried
            .filter(|_| !matches!(noted.phase, Phase::Answering));
        let client = client.map(|(since, time, limit)| {
            let hurried = hurried.map(|hurried| (since.max(hurried) + HURRY_TIME, None));
            hurried
                .filter(|(due, _)| *due < since + time)
                .unwrap_or((since + time, Some(limit)))
        });
        let write = noted
            .stalled
            .map(|since| (since + write_time, Some(Limit::WriteTime)));
        let abuse = || {
            (
                Instant::now(),
                self.hurried.is_none().then_some(Limit::Http2Abuse),
            )
        };
        let unasked = self.is_flooded().then(abuse);
        [client, write, unasked]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use hyper::body::Incoming;
    use tokio::task::coop::{consume_budget, has_budget_remaining};

    use super::*;
    use crate::http::response::Answer;

    struct Silent;

    impl Application for Silent {
        async fn answer(&self, _request: Request<Incoming>) -> Answer {
            unreachable!("no request comes")
        }
    }

    fn limits(header_time: Duration) -> ConnectionLimits {
        let long = Duration::from_mins(10);
        ConnectionLimits {
            header_time,
            idle_time: long,
            request_time: long,
            write_time: long,
            header_size: 8192,
            headers: None,
            http2: None,
        }
    }

    #[tokio::test]
    async fn a_limit_holds_though_the_task_had_used_up_its_turn_when_it_was_armed() {
        let (stream, _client) = tokio::io::duplex(1);
        let mut watch = Watch::new(
            Socket::new(stream),
            limits(Duration::from_millis(50)),
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
            ended = watch.over(connection) => assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut),
        }
    }
}
