//! Fair shares of what all senders use: memory for bodies, a topic's queue, threads for heavy work.
//!
//! Each customer, user and peer has an account of what it holds. It may take more only while it
//! holds no more than a multiple of what is left free, so however much one takes, the next newcomer
//! finds room. (As switches share their buffers: Choudhury and Hahne, *Dynamic queue length
//! thresholds*, IEEE/ACM Transactions on Networking 6, 1998.) A user may send for several customers
//! and a peer for several users, so the wider one has the larger multiple: a flood of one of them
//! ends at its own bound before it reaches that of the others' common one.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::{DashMap, Entry};
use smallvec::SmallVec;
use tokio::sync::Semaphore;

/// The multiples of what is left free that a party may hold.
#[derive(Clone, Copy)]
struct Multiples {
    memory: usize,
    queue: usize,
}

/// Alone at most three quarters of a queue, see [`queue_size`]. Bodies are no customer's before they
/// are parsed.
const CUSTOMER: Multiples = Multiples {
    memory: 0,
    queue: 3,
};
/// Alone at most two thirds of the memory.
const USER: Multiples = Multiples {
    memory: 2,
    queue: 6,
};
/// Alone at most four fifths of the memory.
const PEER: Multiples = Multiples {
    memory: 4,
    queue: 12,
};

/// Returns the number of records of a queue of which one customer alone may have `bound`.
pub fn queue_size(bound: usize) -> usize {
    bound.saturating_add(bound.div_ceil(CUSTOMER.queue))
}

/// The accounts of all customers, users and peers.
pub struct Ledger {
    queues: usize,
    threads: usize,
    /// Never more than the directory has had.
    customers: DashMap<Arc<str>, Arc<Account>>,
    users: DashMap<Arc<str>, Arc<Account>>,
    /// Peers are forgotten with what they hold: anybody can be one.
    peers: DashMap<IpAddr, Weak<Account>>,
}

impl Ledger {
    /// Creates a ledger for this number of queues, where heavy work has this number of threads.
    pub fn new(queues: usize, threads: usize) -> Arc<Self> {
        Arc::new(Self {
            queues,
            threads,
            customers: DashMap::new(),
            users: DashMap::new(),
            peers: DashMap::new(),
        })
    }

    /// Returns the account of a customer.
    pub fn customer(&self, id: &Arc<str>) -> Arc<Account> {
        self.known(&self.customers, id, CUSTOMER)
    }

    /// Returns the account of a user.
    pub fn user(&self, email: &Arc<str>) -> Arc<Account> {
        self.known(&self.users, email, USER)
    }

    /// Returns the account of a peer.
    pub fn peer(self: &Arc<Self>, address: IpAddr) -> Arc<Account> {
        let open = || {
            // Twice, for a peer has several users.
            let heavy_work = 2 * self.threads;
            Arc::new(self.open(PEER, heavy_work, Some((Arc::downgrade(self), address))))
        };
        match self.peers.entry(address) {
            Entry::Occupied(mut known) => known.get().upgrade().unwrap_or_else(|| {
                let account = open();
                known.insert(Arc::downgrade(&account));
                account
            }),
            Entry::Vacant(place) => {
                let account = open();
                place.insert(Arc::downgrade(&account));
                account
            }
        }
    }

    fn known(
        &self,
        accounts: &DashMap<Arc<str>, Arc<Account>>,
        name: &Arc<str>,
        multiples: Multiples,
    ) -> Arc<Account> {
        if let Some(account) = accounts.get(name) {
            return Arc::clone(&account);
        }
        let account = accounts
            .entry(Arc::clone(name))
            .or_insert_with(|| Arc::new(self.open(multiples, self.threads, None)));
        Arc::clone(&account)
    }

    fn open(
        &self,
        multiples: Multiples,
        heavy_work: usize,
        peer: Option<(Weak<Self>, IpAddr)>,
    ) -> Account {
        Account {
            multiples,
            memory: Holding::default(),
            queues: (0..self.queues).map(|_| QueueHolding::default()).collect(),
            heavy_work: Arc::new(Semaphore::new(heavy_work)),
            peer,
        }
    }
}

/// An account of what one customer, user or peer holds.
pub struct Account {
    multiples: Multiples,
    memory: Holding,
    queues: Box<[QueueHolding]>,
    heavy_work: Arc<Semaphore>,
    /// A peer's entry in the ledger.
    peer: Option<(Weak<Ledger>, IpAddr)>,
}

/// Records in a topic's queue, and the bytes that they hold.
#[derive(Debug, Default)]
struct QueueHolding {
    records: Holding,
    bytes: Holding,
}

impl Account {
    /// Counts bytes of a body. Returns whether they may be held while so many are left free.
    pub fn hold_memory(&self, bytes: usize, free: usize) -> bool {
        self.memory.add(bytes) <= free.saturating_mul(self.multiples.memory)
    }

    /// Counts bytes of a body no longer.
    pub fn release_memory(&self, bytes: usize) {
        self.memory.sub(bytes);
    }

    /// Returns the permits for bodies that are decoded or parsed at once. Whoever waits here keeps
    /// no other party waiting.
    pub fn heavy_work(&self) -> &Arc<Semaphore> {
        &self.heavy_work
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some((ledger, address)) = &self.peer
            && let Some(ledger) = ledger.upgrade()
        {
            // Another account may have taken the place meanwhile.
            let is_gone = |_: &IpAddr, account: &Weak<Self>| account.strong_count() == 0;
            ledger.peers.remove_if(address, is_gone);
        }
    }
}

/// An amount that is held.
#[derive(Debug, Default)]
struct Holding(AtomicUsize);

impl Holding {
    /// Adds to the amount and returns the sum.
    fn add(&self, amount: usize) -> usize {
        self.0.fetch_add(amount, Ordering::Relaxed) + amount
    }

    /// Takes from the amount.
    fn sub(&self, amount: usize) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Returns the amount.
    fn amount(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The parts of one request in a topic's queue, by the parties that answer for them. Counted from
/// [`Claims::add`] until dropped.
#[derive(Default)]
pub struct Claims {
    queue: usize,
    claims: SmallVec<[Claim; 3]>,
}

struct Claim {
    account: Arc<Account>,
    records: usize,
    bytes: usize,
}

impl Claims {
    /// Creates the claims of nobody on the queue of this index.
    pub fn new(queue: usize) -> Self {
        Self {
            queue,
            claims: SmallVec::new(),
        }
    }

    /// Counts records, and the bytes that they hold, in an account.
    pub fn add(&mut self, account: Arc<Account>, records: usize, bytes: usize) {
        let held = &account.queues[self.queue];
        held.records.add(records);
        held.bytes.add(bytes);
        self.claims.push(Claim {
            account,
            records,
            bytes,
        });
    }

    /// Returns whether all parties may hold what they hold now, while so many records and bytes are
    /// left free.
    pub fn are_within(&self, free_records: usize, free_bytes: usize) -> bool {
        self.claims.iter().all(|claim| {
            let held = &claim.account.queues[self.queue];
            let multiple = claim.account.multiples.queue;
            let held_bytes = held.bytes.amount();
            held.records.amount() <= free_records.saturating_mul(multiple)
                // A queue takes the largest body, though it may have room for no more.
                && (held_bytes == claim.bytes || held_bytes <= free_bytes.saturating_mul(multiple))
        })
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        for Claim {
            account,
            records,
            bytes,
        } in &self.claims
        {
            let held = &account.queues[self.queue];
            held.records.sub(*records);
            held.bytes.sub(*bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: usize = 0;

    fn ledger() -> Arc<Ledger> {
        Ledger::new(1, 2)
    }

    /// Fills a queue of `size` records with requests of one record by these parties in turn, until
    /// each is refused. Returns what each of them holds.
    fn fill(size: usize, parties: &[Vec<Arc<Account>>]) -> Vec<usize> {
        let mut held: Vec<Vec<Claims>> = parties.iter().map(|_| Vec::new()).collect();
        let mut refused = false;
        while !refused {
            refused = true;
            for (accounts, held_by_it) in parties.iter().zip(0..) {
                let used: usize = held.iter().map(Vec::len).sum();
                let mut claims = Claims::new(QUEUE);
                for account in accounts {
                    claims.add(Arc::clone(account), 1, 1);
                }
                if used < size && claims.are_within(size - used - 1, usize::MAX) {
                    held[held_by_it].push(claims);
                    refused = false;
                }
            }
        }
        held.iter().map(Vec::len).collect()
    }

    #[test]
    fn one_customer_alone_fills_just_its_part_of_a_queue() {
        for bound in [1, 2, 3, 4, 5, 6, 7, 8, 100, 1_000, 1_001, 1_002, 1_003] {
            let customer = ledger().customer(&"acme".into());
            assert_eq!(fill(queue_size(bound), &[vec![customer]]), [bound]);
        }
        assert_eq!(queue_size(usize::MAX), usize::MAX);
    }

    #[test]
    fn whoever_comes_next_finds_room_beside_any_number_of_floods() {
        let ledger = ledger();
        let customer = |name: String| vec![ledger.customer(&name.into())];
        for floods in [1, 2, 5, 20] {
            let parties: Vec<_> = (0..floods)
                .map(|n| customer(format!("flood-{n}")))
                .collect();
            let size = 10_000;
            let used: usize = fill(size, &parties).iter().sum();
            assert!(
                used < size - size / (4 * (floods + 1)),
                "{floods} leave {}",
                size - used
            );
        }
    }

    #[test]
    fn the_flood_of_one_customer_leaves_room_to_others_of_its_user_and_its_peer() {
        let ledger = ledger();
        let peer = ledger.peer([192, 0, 2, 1].into());
        let user = |name: &str| ledger.user(&name.into());
        let customer = |name: &str| ledger.customer(&name.into());
        let flood = vec![Arc::clone(&peer), user("alice"), customer("acme")];
        let same_user = vec![Arc::clone(&peer), user("alice"), customer("globex")];
        let same_peer = vec![peer, user("bob"), customer("initech")];
        let size = 10_000;
        let _held = {
            let mut claims = Claims::new(QUEUE);
            for account in &flood {
                claims.add(Arc::clone(account), 7_500, 1);
            }
            claims
        };
        for neighbour in [same_user, same_peer] {
            let mut claims = Claims::new(QUEUE);
            for account in neighbour {
                claims.add(account, 500, 1);
            }
            assert!(claims.are_within(size - 8_000, usize::MAX));
        }
    }

    #[test]
    fn a_peer_is_forgotten_with_what_it_holds() {
        let ledger = ledger();
        let address = [192, 0, 2, 1].into();
        let peer = ledger.peer(address);
        assert!(Arc::ptr_eq(&peer, &ledger.peer(address)));
        assert_eq!(ledger.peers.len(), 1);
        let mut claims = Claims::new(QUEUE);
        claims.add(peer, 1, 1);
        assert_eq!(ledger.peers.len(), 1);
        drop(claims);
        assert_eq!(ledger.peers.len(), 0);
    }

    #[test]
    fn a_customer_and_a_user_of_one_name_have_accounts_of_their_own() {
        let ledger = ledger();
        let name = "acme".into();
        assert!(!Arc::ptr_eq(&ledger.customer(&name), &ledger.user(&name)));
        assert!(Arc::ptr_eq(&ledger.user(&name), &ledger.user(&name)));
    }
}
