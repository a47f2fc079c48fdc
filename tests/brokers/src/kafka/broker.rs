//! One broker: its ports and folder, its settings, its process.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Options, PASSWORD, POWERLESS, USER, install};
use crate::process::{Guarded, tail};

/// Any 16 bytes, as base64url without padding.
const CLUSTER_ID: &str = "aWVtLWdhdGV3YXktdGVzdA";

/// The file with which a broker's storage begins.
const CHECKPOINT: &str = "bootstrap.checkpoint";

/// Where one broker lives, whether it runs or not.
#[derive(Debug)]
pub(super) struct Site {
    port: u16,
    sasl_port: u16,
    folder: PathBuf,
}

impl Site {
    /// Finds a place for each broker of a cluster, and writes down its settings.
    pub(super) fn plan(options: &Options, folder: &Path) -> Vec<Self> {
        let count = options.brokers;
        let ports = free_ports(count * 3);
        let (controllers, ports) = ports.split_at(count);
        let voters: Vec<String> =
            (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        (0..count)
            .map(|index| {
                let folder = folder.join(format!("broker-{}", index + 1));
                let site = Self { port: ports[index], sasl_port: ports[count + index], folder };
                fs::create_dir(&site.folder).expect("a broker's folder");
                let settings = site.settings(index + 1, controllers[index], &voters, options);
                fs::write(site.properties(), settings).expect("a broker's settings");
                site.format(index + 1);
                site
            })
            .collect()
    }

    /// Makes the broker's storage, as `kafka-storage.sh format` would.
    fn format(&self, id: usize) {
        let data = self.data();
        fs::create_dir(&data).expect("a data folder");
        let formatted = install::formatted(format_once);
        fs::copy(formatted.join(CHECKPOINT), data.join(CHECKPOINT)).expect("a checkpoint");
        let directory = format!("aWVtLWJyb2tlci0t{id:02}AAAA");
        let meta = format!("version=1\ncluster.id={CLUSTER_ID}\nnode.id={id}\ndirectory.id={directory}\n");
        fs::write(data.join("meta.properties"), meta).expect("a broker's name");
    }

    pub(super) fn plaintext(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.sasl_port)
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

    fn settings(&self, id: usize, controller: u16, voters: &str, options: &Options) -> String {
        let (port, sasl, logs) = (self.port, self.sasl_port, self.data());
        let logs = logs.display();
        let replicas = options.brokers.min(3);
        let listeners = format!("PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl}");
        let mut settings = format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             controller.quorum.voters={voters}\n\
             listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={listeners}\n\
             inter.broker.listener.name=PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT\n\
             listener.name.sasl.sasl.enabled.mechanisms=PLAIN\n\
             listener.name.sasl.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\" user_{POWERLESS}=\"{PASSWORD}\";\n\
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
        if options.authorizer {
            settings
                .push_str("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n");
            let _ = writeln!(settings, "super.users=User:ANONYMOUS;User:{USER}");
        }
        for (name, value) in &options.properties {
            let _ = writeln!(settings, "{name}={value}");
        }
        settings
    }
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
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", install::class_path()])
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(properties)
        .output()
        .expect("java runs");
    assert!(run.status.success(), "the storage: {}", String::from_utf8_lossy(&run.stderr));
}

/// A broker's process.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) process: Guarded,
}

impl Broker {
    pub(super) fn start(site: &Site, options: &Options) -> Self {
        let properties = site.properties();
        let properties = properties.to_str().expect("a temporary folder has a plain name");
        let mut command = vec!["java", "-Xms128m", "-Xmx768m", "-XX:+UseSerialGC"];
        if !options.for_load {
            // Half the time to start, and some of the speed later.
            command.push("-XX:TieredStopAtLevel=1");
        }
        command.extend(["-cp", install::class_path(), "kafka.Kafka", properties]);
        Self { process: Guarded::spawn(&site.log(), &command) }
    }
}

/// Ports that were free a moment ago. All are held at once, so that none is given twice.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    held.iter().map(|listener| listener.local_addr().expect("a bound address").port()).collect()
}
