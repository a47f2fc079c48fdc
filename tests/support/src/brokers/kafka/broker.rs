//! One broker: its ports and folder, its settings, its process.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Options, PASSWORD, POWERLESS, USER, certificates, install};
use crate::brokers::delaying_proxy::{DelayingProxy, ONE_WAY};
use crate::brokers::ports;
use crate::brokers::process::{Guarded, tail};

/// Any 16 bytes, as base64url without padding.
const CLUSTER_ID: &str = "aWVtLWdhdGV3YXktdGVzdA";

/// The file with which a broker's storage begins.
const CHECKPOINT: &str = "bootstrap.checkpoint";

/// The folder and the ports of one broker, which may run or not.
#[derive(Debug)]
pub(super) struct Site {
    plaintext: u16,
    sasl: u16,
    sasl_tls: u16,
    far: u16,
    /// Stands before the port `far`, and is what that listener tells clients to connect to.
    way: DelayingProxy,
    folder: PathBuf,
}

impl Site {
    /// Finds a place for each broker of a cluster, and writes down its settings. `folder` holds the
    /// cluster's certificates.
    pub(super) fn plan(options: &Options, folder: &Path) -> Vec<Self> {
        let ports = ports::free(options.brokers * 5);
        let (ports, _) = ports.as_chunks::<5>();
        let voters: Vec<String> = (1..)
            .zip(ports)
            .map(|(id, [controller, ..])| format!("{id}@127.0.0.1:{controller}"))
            .collect();
        let voters = voters.join(",");
        let plan = |(id, ports): (usize, &[u16; 5])| {
            let [controller, plaintext, sasl, sasl_tls, far] = *ports;
            let way = DelayingProxy::start(&format!("127.0.0.1:{far}"), ONE_WAY);
            let site = Self {
                plaintext,
                sasl,
                sasl_tls,
                far,
                way,
                folder: folder.join(format!("broker-{id}")),
            };
            fs::create_dir(&site.folder).expect("a broker's folder");
            let settings = site.settings(id, controller, &voters, options, folder);
            fs::write(site.properties(), settings).expect("a broker's settings");
            site.format(id);
            site
        };
        (1..).zip(ports).map(plan).collect()
    }

    /// Makes the broker's storage, as `kafka-storage.sh format` would.
    fn format(&self, id: usize) {
        let data = self.data();
        fs::create_dir(&data).expect("a data folder");
        let formatted = install::formatted(format_once);
        fs::copy(formatted.join(CHECKPOINT), data.join(CHECKPOINT)).expect("a checkpoint");
        let directory = format!("aWVtLWJyb2tlci0t{id:02}AAAA");
        let meta =
            format!("version=1\ncluster.id={CLUSTER_ID}\nnode.id={id}\ndirectory.id={directory}\n");
        fs::write(data.join("meta.properties"), meta).expect("a broker's name");
    }

    pub(super) fn plaintext(&self) -> String {
        format!("127.0.0.1:{}", self.plaintext)
    }

    pub(super) fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.sasl)
    }

    pub(super) fn sasl_tls(&self) -> String {
        format!("127.0.0.1:{}", self.sasl_tls)
    }

    pub(super) fn far(&self) -> String {
        self.way.address().to_string()
    }

    pub(super) fn log_tail(&self) -> String {
        tail(&self.log())
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    fn settings(
        &self,
        id: usize,
        controller: u16,
        voters: &str,
        options: &Options,
        certificates: &Path,
    ) -> String {
        let (far, way, logs) = (self.far, self.way.address(), self.data());
        let logs = logs.display();
        let replicas = options.brokers.min(3);
        let near = format!(
            "PLAINTEXT://{},SASL://{},SASL_TLS://{}",
            self.plaintext(),
            self.sasl(),
            self.sasl_tls()
        );
        let keystore = certificates.join(certificates::KEYSTORE);
        let keystore = keystore.display();
        let mut settings = format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             controller.quorum.voters={voters}\n\
             listeners={near},FAR://127.0.0.1:{far},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={near},FAR://{way}\n\
             inter.broker.listener.name=PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT,CONTROLLER:PLAINTEXT,\
             SASL:SASL_PLAINTEXT,SASL_TLS:SASL_SSL\n\
             listener.name.sasl_tls.ssl.keystore.type=PEM\n\
             listener.name.sasl_tls.ssl.keystore.location={keystore}\n\
             log.dirs={logs}\n\
             auto.create.topics.enable=false\n\
             num.partitions=1\n\
             offsets.topic.num.partitions=1\n\
             offsets.topic.replication.factor={replicas}\n\
             transaction.state.log.num.partitions=1\n\
             transaction.state.log.replication.factor={replicas}\n\
             transaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             broker.session.timeout.ms=3000\n\
             broker.heartbeat.interval.ms=500\n\
             replica.lag.time.max.ms=3000\n"
        );
        settings.push_str(&["sasl", "sasl_tls"].map(logins).concat());
        if options.authorizer {
            settings.push_str(
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n",
            );
            let _ = writeln!(settings, "super.users=User:ANONYMOUS;User:{USER}");
        }
        for (name, value) in &options.properties {
            let _ = writeln!(settings, "{name}={value}");
        }
        settings
    }
}

/// Returns the logins of a listener. `SCRAM`'s users are in the storage.
fn logins(listener: &str) -> String {
    let listener = format!("listener.name.{listener}");
    let security = "org.apache.kafka.common.security";
    format!(
        "{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
         {listener}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required \
         user_{USER}=\"{PASSWORD}\" user_{POWERLESS}=\"{PASSWORD}\";\n\
         {listener}.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
         {listener}.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
         {listener}.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"broker\";\n"
    )
}

/// Lets Kafka's own tool make the storage of a broker of that version in a folder.
fn format_once(folder: &Path) {
    let properties = folder.join("server.properties");
    let settings = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n\
         listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n",
        folder.display()
    );
    fs::write(&properties, settings).expect("settings");
    let run = Command::new("java")
        .args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            install::class_path(),
        ])
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(properties)
        .args(["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| {
            format!("--add-scram={mechanism}=[name=\"{USER}\",password=\"{PASSWORD}\"]")
        }))
        .output()
        .expect("java runs");
    assert!(
        run.status.success(),
        "the storage: {}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// A broker's process.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) process: Guarded,
}

impl Broker {
    pub(super) fn start(site: &Site, options: &Options) -> Self {
        let properties = site.properties();
        let properties = properties
            .to_str()
            .expect("a temporary folder has a plain name");
        let mut command = vec!["java", "-Xms128m", "-Xmx768m", "-XX:+UseSerialGC"];
        if !options.for_load {
            // Half the time to start, and some of the speed later.
            command.push("-XX:TieredStopAtLevel=1");
        }
        command.extend(["-cp", install::class_path(), "kafka.Kafka", properties]);
        Self {
            process: Guarded::spawn(&site.log(), &command),
        }
    }
}
