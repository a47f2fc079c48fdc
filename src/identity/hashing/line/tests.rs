#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;

fn later() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn standing(peer: &str, failures: u32) -> Standing {
    Standing {
        peer: peer.parse::<IpAddr>().unwrap().into(),
        is_known: false,
        failures: [failures; 3],
    }
}

fn known(peer: &str, failures: u32) -> Standing {
    Standing {
        is_known: true,
        ..standing(peer, failures)
    }
}

/// A line whose only permit is held, and the names of those who are served, in their order.
struct Rig {
    line: Arc<Line>,
    held: Option<Permit>,
    served: Arc<Mutex<Vec<&'static str>>>,
}

impl Rig {
    async fn new(waiting_max: usize) -> Self {
        let line = Line::new(1, waiting_max);
        let held = line.wait(&standing("198.51.100.1", 0), later()).await;
        Self {
            line,
            held: Some(held.unwrap()),
            served: Arc::default(),
        }
    }

    /// Joins the line, and returns once it has.
    async fn join(&self, name: &'static str, standing: Standing) -> JoinHandle<Result<(), Busy>> {
        let (line, served) = (Arc::clone(&self.line), Arc::clone(&self.served));
        let task = tokio::spawn(async move {
            let permit = line.wait(&standing, later()).await?;
            served.lock().push(name);
            drop(permit);
            Ok(())
        });
        tokio::task::yield_now().await;
        task
    }

    /// Serves all who wait, and returns their names.
    async fn serve(mut self) -> Vec<&'static str> {
        self.held = None;
        // The last comes when nobody waits before it.
        let last = standing("203.0.113.1", u32::MAX);
        drop(self.line.wait(&last, later()).await.unwrap());
        self.served.lock().clone()
    }
}

#[tokio::test]
async fn who_has_logged_in_before_comes_first_then_who_has_failed_least() {
    let rig = Rig::new(8).await;
    rig.join("failed twice", standing("192.0.2.1", 2)).await;
    rig.join("failed once", standing("192.0.2.2", 1)).await;
    rig.join("known, failed often", known("192.0.2.3", 9)).await;
    rig.join("new", standing("192.0.2.4", 0)).await;
    rig.join("known", known("192.0.2.5", 0)).await;
    rig.join("newest", standing("192.0.2.6", 0)).await;
    assert_eq!(
        rig.serve().await,
        [
            "known",
            "known, failed often",
            "newest",
            "new",
            "failed once",
            "failed twice"
        ]
    );
}

#[tokio::test]
async fn each_peer_is_served_once_before_any_is_served_again() {
    let rig = Rig::new(8).await;
    for name in ["one", "one again", "one, thirdly"] {
        rig.join(name, standing("192.0.2.1", 0)).await;
    }
    for name in ["two", "two again"] {
        rig.join(name, standing("192.0.2.2", 0)).await;
    }
    assert_eq!(
        rig.serve().await,
        ["two", "one", "two again", "one again", "one, thirdly"]
    );
}

#[tokio::test]
async fn a_peer_that_fills_the_line_gives_way_to_others_and_not_to_itself() {
    let rig = Rig::new(3).await;
    let flood = [
        rig.join("one", standing("192.0.2.1", 0)).await,
        rig.join("one again", standing("192.0.2.1", 0)).await,
        rig.join("one, thirdly", standing("192.0.2.1", 0)).await,
    ];
    let more = rig.join("one, once more", standing("192.0.2.1", 0)).await;
    assert_eq!(more.await.unwrap(), Err(Busy));
    rig.join("two", standing("192.0.2.2", 0)).await;
    rig.join("known", known("192.0.2.1", 0)).await;
    assert_eq!(rig.serve().await, ["known", "two", "one"]);
    let mut outcomes = Vec::new();
    for waiting in flood {
        outcomes.push(waiting.await.unwrap());
    }
    assert_eq!(outcomes, [Ok(()), Err(Busy), Err(Busy)]);
}

#[tokio::test]
async fn the_peers_of_one_ipv6_network_do_not_count_as_many() {
    let rig = Rig::new(64).await;
    for subnet in 0..32 {
        let peer = format!("2001:db8:0:{subnet:x}::1");
        rig.join("of a network", standing(&peer, 0)).await;
    }
    rig.join("alone", standing("192.0.2.1", 0)).await;
    rig.join("alone again", standing("192.0.2.1", 0)).await;
    let served = rig.serve().await;
    let place = |name| served.iter().position(|served| *served == name).unwrap();
    assert_eq!(served.len(), 34);
    assert!(place("alone") <= 4, "{served:?}");
    assert!(place("alone again") <= 8, "{served:?}");
}

#[tokio::test]
async fn who_gives_up_leaves_the_line_and_its_permit_to_others() {
    let mut rig = Rig::new(1).await;
    let gone = rig.join("gone", standing("192.0.2.1", 0)).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert!(rig.line.state.lock().waiting.is_empty());

    // Served and gone before it learns so.
    let gone = rig.join("gone", standing("192.0.2.1", 0)).await;
    rig.held = None;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(rig.serve().await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_wait_ends_with_its_deadline() {
    let rig = Rig::new(1).await;
    let standing = standing("192.0.2.1", 0);
    let waited = rig.line.wait(&standing, Instant::now()).await;
    assert_eq!(waited.map(|_| ()), Err(Busy));
    assert!(rig.line.state.lock().waiting.is_empty());
}
