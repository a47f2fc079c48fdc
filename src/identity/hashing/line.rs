//! The line of logins that wait for a password hash.
//!
//! It is not served in the order of arrival: whoever guesses from many addresses would stand before
//! everybody else. First come users who have logged in from their peer before, then those whose
//! peer has failed least and waits for least, and of equals the newest, which has most of its time
//! left. Who comes when the line is full takes the place of the last, or is refused as the last: so
//! neither a peer nor a network can fill the line.

use std::cmp::Reverse;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::busy::Busy;
use crate::identity::peer::Peer;

/// The standing of a login among those that wait.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The peer that it comes from.
    pub peer: Peer,
    /// Whether its user has logged in from that peer before.
    pub is_known: bool,
    /// Recent failures of the peer and of each network around it.
    pub failures: [u32; Peer::NETWORKS],
}

/// The line, and those who are served: a few at a time.
#[derive(Debug)]
pub(super) struct Line {
    at_once: usize,
    waiting_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The peers that are served.
    served: Vec<Peer>,
    waiting: Vec<Waiting>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting {
    rank: Rank,
    peer: Peer,
    turn: oneshot::Sender<Permit>,
}

/// A place in the line: the least is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_unknown: bool,
    /// Failures of the peer and places that it has in the line, or those of a network around it in
    /// proportion to the network's size, whatever is most.
    burden: u32,
    arrival: Reverse<u64>,
}

/// The permit of one who is served. Dropping it serves the next.
#[derive(Debug)]
pub(super) struct Permit {
    line: Arc<Line>,
    peer: Peer,
}

/// The place of one who waits. Dropping it leaves the line.
struct Place {
    line: Arc<Line>,
    arrival: Reverse<u64>,
    turn: oneshot::Receiver<Permit>,
}

impl Line {
    /// Serves `at_once` at a time; `waiting_max` more may wait.
    pub(super) fn new(at_once: usize, waiting_max: usize) -> Arc<Self> {
        Arc::new(Self {
            at_once: at_once.max(1),
            waiting_max,
            state: Mutex::default(),
        })
    }

    /// Waits to be served.
    ///
    /// # Errors
    /// [`Busy`] if the line is full of others who come first, or `deadline` passes.
    pub(super) async fn wait(
        self: &Arc<Self>,
        standing: &Standing,
        deadline: Instant,
    ) -> Result<Permit, Busy> {
        let mut place = {
            let mut state = self.state.lock();
            if state.served.len() < self.at_once {
                state.served.push(standing.peer);
                return Ok(self.permit(standing.peer));
            }
            self.place(&mut state, standing)?
        };
        timeout_at(deadline, &mut place.turn)
            .await
            .map_err(|_| Busy)?
            // Another has taken the place.
            .map_err(|_| Busy)
    }

    fn permit(self: &Arc<Self>, peer: Peer) -> Permit {
        Permit {
            line: Arc::clone(self),
            peer,
        }
    }

    fn place(self: &Arc<Self>, state: &mut State, standing: &Standing) -> Result<Place, Busy> {
        let rank = state.rank(standing);
        if state.waiting.len() >= self.waiting_max {
            // By its sender's end the other learns of it.
            state.remove_last_behind(rank)?;
        }
        let (sender, turn) = oneshot::channel();
        state.waiting.push(Waiting {
            rank,
            peer: standing.peer,
            turn: sender,
        });
        Ok(Place {
            line: Arc::clone(self),
            arrival: rank.arrival,
            turn,
        })
    }
}

impl State {
    /// Returns the rank of one who arrives now.
    fn rank(&mut self, standing: &Standing) -> Rank {
        self.arrivals += 1;
        let networks = standing.peer.networks().zip(standing.failures);
        let burdens = networks
            .zip(Peer::SIZES)
            .map(|((network, failures), size)| {
                let here = self.served.iter().filter(|peer| peer.is_in(network));
                let waiting = self.waiting.iter();
                let waiting = waiting.filter(|waiting| waiting.peer.is_in(network));
                let places = u32::try_from(here.count() + waiting.count()).unwrap_or(u32::MAX);
                failures.saturating_add(places) / size
            });
        Rank {
            is_unknown: !standing.is_known,
            burden: burdens.max().unwrap_or_default(),
            arrival: Reverse(self.arrivals),
        }
    }

    fn remove_last_behind(&mut self, rank: Rank) -> Result<(), Busy> {
        let last = self.waiting.iter().enumerate();
        let (index, last) = last.max_by_key(|(_, waiting)| waiting.rank).ok_or(Busy)?;
        if last.rank < rank {
            return Err(Busy);
        }
        self.waiting.swap_remove(index);
        Ok(())
    }

    fn take_first(&mut self) -> Option<Waiting> {
        let first = self.waiting.iter().enumerate();
        let (index, _) = first.min_by_key(|(_, waiting)| waiting.rank)?;
        Some(self.waiting.swap_remove(index))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = {
            let mut state = self.line.state.lock();
            if let Some(index) = state.served.iter().position(|peer| *peer == self.peer) {
                state.served.swap_remove(index);
            }
            let next = state.take_first();
            state.served.extend(next.as_ref().map(|next| next.peer));
            next
        };
        if let Some(Waiting { peer, turn, .. }) = next {
            // Sent back by one who has just left, it is dropped, and serves the next.
            let _ = turn.send(self.line.permit(peer));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.line.state.lock();
        state
            .waiting
            .retain(|waiting| waiting.rank.arrival != self.arrival);
    }
}

#[cfg(test)]
mod tests;
