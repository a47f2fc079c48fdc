//! The jars of Apache Kafka, fetched with Maven once into the workspace's target folder.
//!
//! `IEM_TEST_KAFKA_LIBS` names a folder of jars to use instead: that of an unpacked Kafka, say.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The version of Kafka that tests run against.
pub const VERSION: &str = "4.1.1";

/// The broker, the console tools, and somewhere for their log lines to go.
const ARTIFACTS: [(&str, &str, &str); 3] = [
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.kafka", "kafka-tools", VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
];

/// Debian's packages; other systems have others, of like names.
const INSTALL: &str = "apt-get install --yes openjdk-17-jre-headless maven";

/// The class path of Kafka's programs.
///
/// # Panics
/// Where Java or Maven is missing, with the command that installs them, or where Maven cannot
/// fetch.
pub fn class_path() -> &'static str {
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    CLASS_PATH.get_or_init(|| {
        need("java", "-version");
        let libs = std::env::var_os("IEM_TEST_KAFKA_LIBS").map_or_else(fetched, PathBuf::from);
        format!("{}/*", libs.display())
    })
}

/// The storage of a broker before its first start, made by Kafka's own tool once for all: it takes
/// seconds each time, and differs from broker to broker only in what the broker is called.
pub(super) fn formatted(make: impl FnOnce(&Path)) -> PathBuf {
    once("formatted-with-users", make)
}

fn fetched() -> PathBuf {
    once("libs", fetch)
}

/// A folder in the target folder that is made once. Test binaries run beside one another: one makes
/// it, the others wait. It is made beside, and renamed: what was interrupted leaves nothing that
/// looks whole.
fn once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let home = target_folder().join(format!("kafka-{VERSION}"));
    fs::create_dir_all(&home).expect("a folder in the target folder");
    let folder = home.join(name);
    let lock = File::create(home.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    if !folder.exists() {
        let part = home.join(format!("{name}.part"));
        let _ = fs::remove_dir_all(&part);
        fs::create_dir(&part).expect("a folder");
        make(&part);
        fs::rename(part, &folder).expect("a folder can be renamed");
    }
    folder
}

fn fetch(libs: &Path) {
    need("mvn", "--version");
    let dependency = |(group, artifact, version): (&str, &str, &str)| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    let dependencies = ARTIFACTS.map(dependency).concat();
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>iem</groupId><artifactId>test-kafka</artifactId><version>1</version>\
         <dependencies>{dependencies}</dependencies></project>"
    );
    let pom_file = libs.with_extension("pom.xml");
    fs::write(&pom_file, pom).expect("a pom");
    eprintln!("fetching Apache Kafka {VERSION}");
    let run = Command::new("mvn")
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            "-f",
        ])
        .arg(pom_file)
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .output()
        .expect("mvn runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "Maven does not fetch Apache Kafka {VERSION}:\n{said}"
    );
}

fn need(program: &str, argument: &str) {
    let runs = Command::new(program)
        .arg(argument)
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        runs,
        "these tests run a real Apache Kafka, and `{program}` is missing: {INSTALL}"
    );
}

/// Cargo's target folder, which a test binary is not told of: where it runs from, else where Cargo
/// puts it.
fn target_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return PathBuf::from(folder);
    }
    let executable = std::env::current_exe().expect("a test knows its own path");
    executable
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            Path::to_path_buf,
        )
}
