//! The sender of a request: the parties that answer for what it holds.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use crate::identity::{Peer, Principal};
use crate::memory::MemoryBudget;
use crate::shares::{Account, Ledger};

/// A user at a peer, who holds what their requests hold.
pub(super) struct Sender {
    email: Arc<str>,
    address: IpAddr,
    user: Arc<Account>,
    peer: Arc<Account>,
    /// The memory for the sender's bodies.
    pub(super) memory: Arc<MemoryBudget>,
}

/// The last sender of a connection: most connections have one alone.
#[derive(Default)]
pub struct LastSender(RefCell<Option<Arc<Sender>>>);

impl LastSender {
    /// Returns the sender of a request by this user from this address.
    pub(super) fn get(
        &self,
        ledger: &Arc<Ledger>,
        memory: &MemoryBudget,
        principal: &Principal,
        address: IpAddr,
    ) -> Arc<Sender> {
        let email = &principal.user().email;
        let mut last = self.0.borrow_mut();
        match &*last {
            Some(sender) if sender.address == address && sender.email == *email => {
                Arc::clone(sender)
            }
            _ => Arc::clone(last.insert(Arc::new(Sender::new(ledger, memory, email, address)))),
        }
    }
}

impl Sender {
    pub(super) fn new(
        ledger: &Arc<Ledger>,
        memory: &MemoryBudget,
        email: &Arc<str>,
        address: IpAddr,
    ) -> Self {
        let user = ledger.user(email);
        let peer = ledger.peer(Peer::from(address).address());
        Self {
            email: Arc::clone(email),
            address,
            memory: memory.held_by([Arc::clone(&user), Arc::clone(&peer)]),
            user,
            peer,
        }
    }

    /// Returns the accounts of the user and the peer.
    pub(super) fn accounts(&self) -> [&Arc<Account>; 2] {
        [&self.user, &self.peer]
    }

    /// Waits until the sender may do heavy work. A flood of its own keeps it waiting, never one of
    /// somebody else.
    pub(super) async fn begin_heavy_work(&self) -> [Option<SemaphorePermit<'_>>; 2] {
        // The permits are never closed. A user waits before it takes the peer's, so that it keeps
        // none from the peer's other users.
        let user = self.user.heavy_work().acquire().await.ok();
        let peer = self.peer.heavy_work().acquire().await.ok();
        [user, peer]
    }

    /// Does the same, with permits that go along with the work.
    pub(super) async fn begin_heavy_work_elsewhere(&self) -> [Option<OwnedSemaphorePermit>; 2] {
        let user = Arc::clone(self.user.heavy_work()).acquire_owned().await;
        let peer = Arc::clone(self.peer.heavy_work()).acquire_owned().await;
        [user.ok(), peer.ok()]
    }
}
