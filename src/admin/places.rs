//! The places for connections. When all are taken a new connection closes another one, so that
//! nobody waits and nobody can keep others out by holding connections.
//!
//! The peer with the most connections gives way: first its oldest that has asked nothing, else its
//! oldest. Viewers, who have proved that they may look, come last, and their event streams have
//! places of their own.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::task::AbortHandle;

use crate::identity::Peer;

/// Connections at once beside event streams. One more closes another one.
const CONNECTIONS_MAX: usize = 64;
/// Event streams at once. One more is refused.
const STREAMS_MAX: usize = 16;

/// The stage that a connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing has been asked.
    Silent,
    /// A request has come.
    Asked,
    /// The request has proved that it may see the page.
    Viewer,
    /// The answer is an event stream.
    Stream,
}

/// The open connections, the oldest first.
#[derive(Default)]
pub(super) struct Places {
    open: VecDeque<(Seat, AbortHandle)>,
    streams: Rc<Cell<usize>>,
}

/// The place of one connection.
pub(super) struct Seat {
    peer: Peer,
    standing: Rc<Cell<Standing>>,
    streams: Rc<Cell<usize>>,
}

/// A connection's own hold on its place, from which the place learns how far it has come. It ends
/// with the connection's task.
pub(super) struct Occupant {
    standing: Rc<Cell<Standing>>,
    streams: Rc<Cell<usize>>,
}

impl Places {
    /// Takes a place for a connection of this address, if need be from another connection.
    pub(super) fn take(&mut self, peer: IpAddr) -> Seat {
        self.open.retain(|(_, task)| !task.is_finished());
        let beside_streams = self.open.iter().filter(|(seat, _)| !seat.is_stream());
        if beside_streams.count() >= CONNECTIONS_MAX
            && let Some((_, task)) = self
                .last_in_rank()
                .and_then(|index| self.open.remove(index))
        {
            task.abort();
        }
        Seat {
            peer: peer.into(),
            standing: Rc::new(Cell::new(Standing::Silent)),
            streams: Rc::clone(&self.streams),
        }
    }

    /// Adds the task of the connection that a place was taken for.
    pub(super) fn add(&mut self, seat: Seat, task: AbortHandle) {
        self.open.push_back((seat, task));
    }

    /// Returns the index of the connection that gives way.
    fn last_in_rank(&self) -> Option<usize> {
        let with = |is_of: fn(Standing) -> bool| {
            let open = self.open.iter().enumerate();
            let found = open.filter(|(_, (seat, _))| is_of(seat.standing.get()));
            let found: Vec<_> = found.map(|(index, (seat, _))| (index, seat)).collect();
            found
        };
        let mut found = with(|standing| matches!(standing, Standing::Silent | Standing::Asked));
        if found.is_empty() {
            found = with(|standing| standing == Standing::Viewer);
        }
        let of = |peer: Peer| found.iter().filter(move |(_, seat)| seat.peer == peer);
        // The oldest of several, so that no peer is spared for being one of many.
        let most = found.iter().map(|(_, seat)| of(seat.peer).count()).max()?;
        let (_, first) = found
            .iter()
            .find(|(_, seat)| of(seat.peer).count() == most)?;
        let is_silent = |(_, seat): &&(usize, &Seat)| seat.standing.get() == Standing::Silent;
        let last = of(first.peer).find(is_silent);
        last.or_else(|| of(first.peer).next())
            .map(|(index, _)| *index)
    }
}

impl Seat {
    fn is_stream(&self) -> bool {
        self.standing.get() == Standing::Stream
    }

    /// Returns the hold on it for the connection's task.
    pub(super) fn occupant(&self) -> Occupant {
        Occupant {
            standing: Rc::clone(&self.standing),
            streams: Rc::clone(&self.streams),
        }
    }
}

impl Occupant {
    /// Notes that the request has come.
    pub(super) fn has_asked(&self) {
        self.standing.set(Standing::Asked);
    }

    /// Notes that the request has proved that it may see what it asks for.
    pub(super) fn has_proved(&self) {
        if self.standing.get() != Standing::Stream {
            self.standing.set(Standing::Viewer);
        }
    }

    /// Takes one of the places for event streams, until the connection ends. Returns whether there
    /// was one.
    pub(super) fn begin_stream(&self) -> bool {
        if self.standing.get() == Standing::Stream {
            return true;
        }
        let is_free = self.streams.get() < STREAMS_MAX;
        if is_free {
            self.streams.set(self.streams.get() + 1);
            self.standing.set(Standing::Stream);
        }
        is_free
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        if self.standing.get() == Standing::Stream {
            self.streams.set(self.streams.get().saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections of peers, which stay open until they are told to close.
    #[derive(Default)]
    struct Listener {
        places: Places,
        occupants: Vec<Rc<Occupant>>,
        tasks: Vec<AbortHandle>,
    }

    impl Listener {
        /// Opens a connection of the peer with this number that has come so far.
        fn open(&mut self, peer: u8, standing: Standing) {
            let seat = self.places.take([192, 0, 2, peer].into());
            let occupant = Rc::new(seat.occupant());
            occupant.standing.set(standing);
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            self.places.add(seat, task.clone());
            self.occupants.push(occupant);
            self.tasks.push(task);
        }

        /// Opens one more connection, of peer 255, and returns which one is closed for it.
        async fn closed(&mut self) -> Option<usize> {
            self.open(255, Standing::Silent);
            // The runtime runs some of many tasks at a time.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            self.tasks.iter().position(AbortHandle::is_finished)
        }
    }

    #[tokio::test]
    async fn of_one_peer_the_oldest_silent_connection_gives_way_else_the_oldest() {
        for (asked, expected) in [(0, 0), (5, 5), (CONNECTIONS_MAX, 0)] {
            let mut listener = Listener::default();
            for index in 0..CONNECTIONS_MAX {
                let standing = if index < asked {
                    Standing::Asked
                } else {
                    Standing::Silent
                };
                listener.open(1, standing);
            }
            assert_eq!(listener.closed().await, Some(expected), "{asked} asked");
        }
    }

    #[tokio::test]
    async fn nobody_gives_way_where_there_is_room() {
        let mut listener = Listener::default();
        for _ in 0..CONNECTIONS_MAX {
            listener.open(1, Standing::Silent);
        }
        listener.tasks[7].abort();
        tokio::task::yield_now().await;
        listener.open(1, Standing::Silent);
        tokio::task::yield_now().await;
        let ended = listener.tasks.iter().filter(|task| task.is_finished());
        assert_eq!(ended.count(), 1);
    }

    #[tokio::test]
    async fn the_peer_with_the_most_connections_gives_way() {
        let mut listener = Listener::default();
        listener.open(1, Standing::Silent);
        for _ in 2..CONNECTIONS_MAX {
            listener.open(2, Standing::Asked);
        }
        listener.open(3, Standing::Silent);
        assert_eq!(listener.closed().await, Some(1));
    }

    #[tokio::test]
    async fn of_peers_with_as_many_the_oldest_gives_way_whether_it_has_asked_or_not() {
        let mut listener = Listener::default();
        for index in 0..CONNECTIONS_MAX {
            let peer = u8::try_from(index).expect("few");
            let is_last = index + 1 == CONNECTIONS_MAX;
            let standing = if is_last {
                Standing::Silent
            } else {
                Standing::Asked
            };
            listener.open(peer, standing);
        }
        assert_eq!(listener.closed().await, Some(0));
    }

    #[tokio::test]
    async fn viewers_give_way_last_and_streams_never() {
        let mut listener = Listener::default();
        for _ in 0..STREAMS_MAX {
            listener.open(1, Standing::Viewer);
        }
        assert!(listener.occupants.iter().all(|it| it.begin_stream()));
        assert!(listener.occupants[0].begin_stream(), "it has its place");
        for _ in 1..CONNECTIONS_MAX {
            listener.open(1, Standing::Viewer);
        }
        assert!(!listener.occupants[STREAMS_MAX].begin_stream(), "one more");
        listener.open(2, Standing::Silent);
        assert_eq!(listener.closed().await, Some(79));
        listener.occupants[80].has_asked();
        listener.occupants[80].has_proved();
        let mut all_viewers = listener;
        all_viewers.tasks.remove(79);
        assert_eq!(all_viewers.closed().await, Some(STREAMS_MAX));
    }

    #[tokio::test]
    async fn a_stream_that_ends_leaves_its_place_to_another() {
        let mut listener = Listener::default();
        for _ in 0..=STREAMS_MAX {
            listener.open(1, Standing::Viewer);
        }
        let taken = listener.occupants.iter().filter(|it| it.begin_stream());
        assert_eq!(taken.count(), STREAMS_MAX);
        let last = listener.occupants.pop().expect("one more");
        listener.occupants.pop();
        assert!(last.begin_stream());
    }
}
