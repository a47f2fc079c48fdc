//! The connections of one writer: the newest takes all new calls, older ones only finish theirs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::SinkError;
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::client::{Client, PATIENCE};
use crate::runtime::runtime;
use crate::statistics::Statistics;

/// The most connections of a writer at once. While as many have calls under way, the newest stays
/// in use.
const CONNECTIONS: usize = 3;

/// The connections of one writer. Dropping them ends every request under way.
pub(crate) struct Connections {
    access: Arc<Access>,
    statistics: Arc<Statistics>,
    topic: String,
    /// Whether a dead connection's requests are given up, to be sent again.
    gives_up: bool,
    /// The newest is the last.
    open: Vec<Connection>,
    /// Whether a connection has been made before.
    had_one: bool,
    /// The patience that the next connection needs.
    patience: Duration,
}

struct Connection {
    client: Arc<Client>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Connections {
    pub(crate) fn new(
        access: Arc<Access>,
        statistics: Arc<Statistics>,
        topic: &str,
        gives_up: bool,
    ) -> Self {
        Self {
            access,
            statistics,
            topic: topic.to_owned(),
            gives_up,
            open: Vec::new(),
            had_one: false,
            patience: PATIENCE,
        }
    }

    /// Returns the client for a new call.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn client(&mut self) -> Result<Arc<Client>, SinkError> {
        self.drop_idle();
        let is_full = self.open.len() >= CONNECTIONS;
        if let Some(newest) = self.open.last()
            && (is_full || !newest.client.is_retired())
        {
            return Ok(newest.client.clone());
        }
        let runtime = runtime("pubsub-writer")?;
        self.statistics.count_connection(self.had_one);
        self.had_one = true;
        let handle = runtime.handle().clone();
        let client = Client::new(
            &self.access,
            &self.statistics,
            &self.topic,
            self.gives_up,
            self.patience,
            handle,
        );
        self.open.push(Connection {
            client: client.clone(),
            runtime: Some(runtime),
        });
        Ok(client)
    }

    /// Drops retired connections without calls.
    pub(crate) fn drop_idle(&mut self) {
        if let Some(newest) = self.open.last()
            && newest.client.is_retired()
        {
            self.patience = newest.client.next_patience();
        }
        self.open
            .retain(|open| !open.client.is_retired() || open.client.is_busy());
    }

    /// Returns whether calls are under way, and none has been answered since then.
    pub(crate) fn are_silent_since(&self, since: Instant) -> bool {
        let busy = || self.open.iter().filter(|open| open.client.is_busy());
        busy().next().is_some() && busy().all(|open| open.client.is_silent_since(since))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PubSubConfig;

    #[test]
    fn a_writer_has_at_most_three_connections() {
        let runtime = Runtime::new().expect("a runtime");
        let config = PubSubConfig {
            project: "p".into(),
            endpoint: Some("http://127.0.0.1:1".into()),
            ..PubSubConfig::default()
        };
        let access = Access::new(&config, None, runtime.handle().clone()).expect("access");
        let mut connections = Connections::new(Arc::new(access), Arc::default(), "t", true);
        let mut client = || connections.client().expect("a client");

        let first = client();
        assert!(Arc::ptr_eq(&first, &client()), "it stays in use");
        let first_call = first.begin_call();
        first.retire();
        let second = client();
        let _second_call = second.begin_call();
        second.retire();
        let third = client();
        let _third_call = third.begin_call();
        third.retire();
        assert!(!Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&second, &third));
        assert!(Arc::ptr_eq(&third, &client()), "three have calls under way");

        drop(first_call);
        let fourth = client();
        assert!(!Arc::ptr_eq(&third, &fourth), "the first has none any more");
        assert_eq!(connections.open.len(), 3);
    }
}
