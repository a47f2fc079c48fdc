//! Google's Pub/Sub emulator on loopback, spoken to over REST: neither administration nor reading
//! goes through the client that is under test.
//!
//! The emulator keeps topics and messages in memory: what [`PubSub::restart`] starts is empty.
//! Unlike the real service it knows no permissions, accepts attributes that are too long, and
//! accepts requests of a little over 10 MB.

mod emulator;
mod jar;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use ureq::Agent;

use crate::brokers::ports;
use emulator::Emulator;

/// The project that all topics are in. The emulator takes any.
pub const PROJECT: &str = "iem-test";

/// The most messages that one pull returns.
const PULL_MESSAGES: usize = 100;

/// Ready sooner and light on a machine that runs tests: compiled once, one thread to collect
/// garbage.
const LIGHT: &[&str] = &["-Xmx2g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// As fast as it gets.
const FAST: &[&str] = &["-Xmx3g"];

/// A running emulator; ended when dropped, and when the process that started it ends, however that
/// happens.
pub struct PubSub {
    jar: PathBuf,
    java: &'static [&'static str],
    port: u16,
    agent: Agent,
    emulator: Mutex<Option<Emulator>>,
}

/// A message as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// By their names at the backend: `ce-id`, `Content-Type`, …
    pub attributes: BTreeMap<String, String>,
    /// Empty where the message has none.
    pub ordering_key: String,
    /// The message's bytes.
    pub data: Vec<u8>,
}

impl PubSub {
    /// The emulator that all tests of this process share; started by the first one.
    ///
    /// # Panics
    /// As [`PubSub::start`].
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<PubSub> = LazyLock::new(PubSub::start);
        &SHARED
    }

    /// Starts an emulator on a free port, for a test that stops it or slows it down.
    ///
    /// # Panics
    /// Where the emulator or Java is missing; the message names the command that installs it.
    pub fn start() -> Self {
        Self::start_with(LIGHT)
    }

    /// Starts one that is as fast as it gets, once it has run for a while.
    ///
    /// # Panics
    /// As [`PubSub::start`].
    pub fn start_for_benches() -> Self {
        Self::start_with(FAST)
    }

    fn start_with(java: &'static [&'static str]) -> Self {
        let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(30)));
        let pubsub = Self {
            jar: jar::find(),
            java,
            port: ports::free(1)[0],
            agent: config.http_status_as_error(false).build().into(),
            emulator: Mutex::new(None),
        };
        pubsub.restart();
        pubsub
    }

    /// For `endpoint`: `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host())
    }

    /// For `PUBSUB_EMULATOR_HOST`: `127.0.0.1:<port>`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the emulator; its topics and messages are gone with it.
    pub fn stop(&self) {
        drop(self.emulator().take());
    }

    /// Starts an empty emulator on the same port, after killing the one that may be running.
    pub fn restart(&self) {
        let mut emulator = self.emulator();
        drop(emulator.take());
        *emulator = Some(Emulator::start(self.java, &self.jar, self.port));
    }

    /// Lets the emulator hang (SIGSTOP): connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.emulator()
            .as_ref()
            .expect("the emulator runs")
            .process
            .pause();
    }

    /// Lets a paused emulator go on (SIGCONT).
    pub fn resume(&self) {
        self.emulator()
            .as_ref()
            .expect("the emulator runs")
            .process
            .resume();
    }

    /// Makes a topic, and a subscription of the same name that keeps what is published from now on,
    /// in order by key.
    pub fn create_topic(&self, name: &str) {
        self.create_topic_with(name, &json!({}));
    }

    /// As [`create_topic`](Self::create_topic), for a topic that takes only JSON of this Avro
    /// schema; any other message is refused as an invalid argument, together with all others of
    /// its request.
    pub fn create_topic_with_schema(&self, name: &str, avro: &Value) {
        let schema = json!({ "type": "AVRO", "definition": avro.to_string() });
        self.expect("POST", &format!("schemas?schemaId={name}"), Some(&schema));
        let schema = format!("projects/{PROJECT}/schemas/{name}");
        self.create_topic_with(
            name,
            &json!({ "schemaSettings": { "schema": schema, "encoding": "JSON" } }),
        );
    }

    fn create_topic_with(&self, name: &str, topic: &Value) {
        self.expect("PUT", &format!("topics/{name}"), Some(topic));
        let subscription = json!({
            "topic": format!("projects/{PROJECT}/topics/{name}"),
            "enableMessageOrdering": true,
            "ackDeadlineSeconds": 600,
        });
        self.expect("PUT", &format!("subscriptions/{name}"), Some(&subscription));
    }

    /// Deletes the topic, but keeps its subscription, which can still be read.
    pub fn delete_topic(&self, name: &str) {
        self.expect("DELETE", &format!("topics/{name}"), None);
    }

    /// Deletes the subscription with all that it holds.
    pub fn delete_subscription(&self, name: &str) {
        self.expect("DELETE", &format!("subscriptions/{name}"), None);
    }

    /// Takes all that the topic's subscription holds, in the order in which it is handed out. A
    /// second call returns only what has been published since.
    pub fn read_all(&self, topic: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut empty_pulls = 0;
        // A pull may come back empty although there is more.
        while empty_pulls < 3 {
            let pulled = self.pull(topic);
            empty_pulls = if pulled.is_empty() {
                empty_pulls + 1
            } else {
                0
            };
            messages.extend(pulled);
        }
        messages
    }

    fn pull(&self, subscription: &str) -> Vec<Message> {
        let path = format!("subscriptions/{subscription}");
        let request = json!({ "maxMessages": PULL_MESSAGES, "returnImmediately": true });
        let pulled = self.expect("POST", &format!("{path}:pull"), Some(&request));
        let Some(received) = pulled["receivedMessages"].as_array() else {
            return Vec::new();
        };
        let ids: Vec<&Value> = received.iter().map(|received| &received["ackId"]).collect();
        self.expect(
            "POST",
            &format!("{path}:acknowledge"),
            Some(&json!({ "ackIds": ids })),
        );
        received
            .iter()
            .map(|received| message(&received["message"]))
            .collect()
    }

    /// # Panics
    /// Where the emulator does not answer 200.
    fn expect(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/v1/projects/{PROJECT}/{path}", self.endpoint());
        let request = ureq::http::Request::builder().method(method).uri(&url);
        let request = request.header("content-type", "application/json");
        let request = request
            .body(body.map(Value::to_string).unwrap_or_default())
            .expect("a request");
        let mut response = self
            .agent
            .run(request)
            .unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        // Pulls hold up to 100 messages of up to 10 MB.
        let text = response
            .body_mut()
            .with_config()
            .limit(2 << 30)
            .read_to_string()
            .expect("an answer in UTF-8");
        assert!(
            response.status().is_success(),
            "{method} {url}: {} {text}",
            response.status()
        );
        if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("an answer in JSON")
        }
    }

    fn emulator(&self) -> MutexGuard<'_, Option<Emulator>> {
        self.emulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(json: &Value) -> Message {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attributes = json["attributes"].as_object().into_iter().flatten();
    Message {
        attributes: attributes
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        ordering_key: text(&json["orderingKey"]),
        data: BASE64_STANDARD
            .decode(text(&json["data"]))
            .expect("data in base64"),
    }
}
