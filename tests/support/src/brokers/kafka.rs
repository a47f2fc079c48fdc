//! A real Apache Kafka, one broker or three, on loopback.
//!
//! Brokers are their own controllers (`KRaft`). Faults are those of a process: stopped, killed,
//! started again. Topics are made in so many words: auto-creation is off.

mod broker;
mod certificates;
mod install;
mod topics;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::brokers::process::Folder;
use broker::{Broker, Site};

pub use install::VERSION;
pub use topics::Message;

/// A user that the SASL listeners know, by any mechanism; its password is [`PASSWORD`]. With
/// OAUTHBEARER brokers believe any unsigned token.
pub const USER: &str = "gateway";
/// The password of [`USER`] and of [`POWERLESS`].
pub const PASSWORD: &str = "correct horse battery staple";
/// A user that may log in and, where the brokers have an authorizer, do nothing.
pub const POWERLESS: &str = "powerless";

/// How a cluster is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// One or three.
    pub brokers: usize,
    /// Settings of the brokers, over those that the cluster needs.
    pub properties: Vec<(&'static str, &'static str)>,
    /// Whether topics are only for those who may write them: anonymous clients and [`USER`] may
    /// everything, [`POWERLESS`] nothing.
    pub authorizer: bool,
    /// Whether the brokers are to be measured: they start slower and run faster.
    pub for_load: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: 1,
            properties: Vec::new(),
            authorizer: false,
            for_load: false,
        }
    }
}

/// A running cluster. It ends when this is dropped, and with the process.
#[derive(Debug)]
pub struct Kafka {
    brokers: Vec<Mutex<Broker>>,
    sites: Vec<Site>,
    options: Options,
    folder: Folder,
}

impl Kafka {
    /// One broker for all tests of this binary. Nobody stops it; topics have names of their own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::start(&Options {
                authorizer: true,
                ..Options::default()
            })
        })
    }

    /// Starts a cluster and waits until all its brokers serve.
    ///
    /// # Panics
    /// Where it does not start, with the end of a broker's log; where Java or Maven is missing,
    /// with the command that installs them.
    pub fn start(options: &Options) -> Self {
        let folder = Folder::new("iem-kafka-");
        certificates::make(folder.path());
        let sites = Site::plan(options, folder.path());
        let brokers = sites
            .iter()
            .map(|site| Mutex::new(Broker::start(site, options)))
            .collect();
        let kafka = Self {
            brokers,
            sites,
            options: options.clone(),
            folder,
        };
        kafka.wait_for_brokers();
        kafka
    }

    /// The address for clients without a login.
    pub fn bootstrap(&self) -> String {
        let servers: Vec<String> = self.sites.iter().map(Site::plaintext).collect();
        servers.join(",")
    }

    /// The address for clients with SASL over an unencrypted connection.
    pub fn bootstrap_sasl(&self) -> String {
        let servers: Vec<String> = self.sites.iter().map(Site::sasl).collect();
        servers.join(",")
    }

    /// The address for clients with SASL over TLS.
    pub fn bootstrap_sasl_tls(&self) -> String {
        let servers: Vec<String> = self.sites.iter().map(Site::sasl_tls).collect();
        servers.join(",")
    }

    /// The address, for clients without a login, of brokers that are
    /// [`ONE_WAY`](crate::brokers::delaying_proxy::ONE_WAY) away.
    pub fn bootstrap_far(&self) -> String {
        let servers: Vec<String> = self.sites.iter().map(Site::far).collect();
        servers.join(",")
    }

    /// The certificate, PEM, of who vouches for the brokers' certificates.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join(certificates::AUTHORITY)
    }

    /// As [`authority`](Self::authority), of somebody who does not.
    pub fn strange_authority(&self) -> PathBuf {
        self.folder.path().join(certificates::STRANGER)
    }

    /// Stops broker `index` (from 0) where it stands: connections stay, nothing answers.
    pub fn pause(&self, index: usize) {
        self.broker(index).process.pause();
    }

    /// Lets a paused broker go on.
    pub fn resume(&self, index: usize) {
        self.broker(index).process.resume();
    }

    /// Kills broker `index` (from 0), as a loss of power would end it.
    pub fn kill(&self, index: usize) {
        self.broker(index).process.kill();
    }

    /// Starts a killed broker again, on its old port and folder, and waits until all brokers serve.
    pub fn restart(&self, index: usize) {
        self.start_again(index);
        self.wait_for_brokers();
    }

    /// Starts a killed broker again and does not wait.
    pub fn start_again(&self, index: usize) {
        *self.broker(index) = Broker::start(&self.sites[index], &self.options);
    }

    fn broker(&self, index: usize) -> MutexGuard<'_, Broker> {
        self.brokers[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_brokers(&self) {
        let end = Instant::now() + Duration::from_mins(1);
        while topics::brokers(&self.bootstrap()) < self.sites.len() {
            for (broker, site) in self.brokers.iter().zip(&self.sites) {
                let broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
                assert!(
                    broker.process.is_running(),
                    "a broker has ended:\n{}",
                    site.log_tail()
                );
            }
            assert!(
                Instant::now() < end,
                "brokers do not serve:\n{}",
                self.sites[0].log_tail()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
