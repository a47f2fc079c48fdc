//! Jars, and what is made with them, fetched once into the workspace's target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An artifact of a Maven repository: group, name, version.
pub(crate) type Artifact = (&'static str, &'static str, &'static str);

/// A folder in the target folder that is made once. Test binaries run beside one another: one makes
/// it, the others wait. It is made beside, and renamed: what was interrupted leaves nothing that
/// looks whole.
pub(crate) fn once(home: &str, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let home = target_folder().join(home);
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

/// Fetches artifacts, and all that they need, into the folder `libs`.
///
/// # Panics
/// Panics where Maven is missing, or where it cannot fetch.
pub(crate) fn fetch(artifacts: &[Artifact], libs: &Path) {
    fetch_without(artifacts, "", libs);
}

/// Fetches these artifacts into the folder `libs`, and nothing that they need.
///
/// # Panics
/// Panics where Maven is missing, or where it cannot fetch.
pub(crate) fn fetch_alone(artifacts: &[Artifact], libs: &Path) {
    let all = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>\
               </exclusions>";
    fetch_without(artifacts, all, libs);
}

fn fetch_without(artifacts: &[Artifact], exclusions: &str, libs: &Path) {
    need("mvn", "--version");
    let dependency = |(group, artifact, version): &Artifact| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version>{exclusions}</dependency>"
        )
    };
    let dependencies = artifacts
        .iter()
        .map(dependency)
        .collect::<Vec<_>>()
        .concat();
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>iem</groupId><artifactId>test</artifactId><version>1</version>\
         <dependencies>{dependencies}</dependencies></project>"
    );
    let pom_file = libs.with_extension("pom.xml");
    fs::write(&pom_file, pom).expect("a pom");
    eprintln!("fetching {artifacts:?}");
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
        "Maven does not fetch {artifacts:?}:\n{said}"
    );
}

/// Fails the test where a program is missing.
pub(crate) fn need(program: &str, argument: &str) {
    let runs = Command::new(program)
        .arg(argument)
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        runs,
        "this test runs Java, and `{program}` is missing: \
         apt-get install --yes default-jdk-headless maven"
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
