//! The place of the emulator: `PUBSUB_EMULATOR_JAR`, else the Cloud SDK's usual places.

use std::env;
use std::path::{Path, PathBuf};

const MISSING: &str = "Google's Pub/Sub emulator is missing. Install it with \
    `apt-get install google-cloud-cli-pubsub-emulator` (Google's Debian packages) or \
    `gcloud components install pubsub-emulator`, or set PUBSUB_EMULATOR_JAR to its jar.";

/// # Panics
/// Where there is none.
pub(super) fn find() -> PathBuf {
    if let Some(jar) = env::var_os("PUBSUB_EMULATOR_JAR") {
        let jar = PathBuf::from(jar);
        assert!(
            jar.is_file(),
            "PUBSUB_EMULATOR_JAR is not a file: {}. {MISSING}",
            jar.display()
        );
        return jar;
    }
    sdk_roots()
        .iter()
        .find_map(|root| newest_jar(root))
        .unwrap_or_else(|| panic!("{MISSING}"))
}

fn sdk_roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = env::var_os("CLOUDSDK_ROOT_DIR")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    roots.extend(["/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk"].map(PathBuf::from));
    roots.extend(env::var_os("HOME").map(|home| Path::new(&home).join("google-cloud-sdk")));
    let folders = env::var_os("PATH").unwrap_or_default();
    let gcloud = env::split_paths(&folders)
        .map(|folder| folder.join("gcloud"))
        .find(|path| path.is_file());
    // <root>/bin/gcloud, behind any symbolic links.
    let gcloud = gcloud.and_then(|path| path.canonicalize().ok());
    roots.extend(
        gcloud
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent)
            .map(Path::to_owned),
    );
    roots
}

fn newest_jar(root: &Path) -> Option<PathBuf> {
    let folder = root.join("platform/pubsub-emulator/lib").read_dir().ok()?;
    folder
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_emulator(path))
        .max()
}

fn is_emulator(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("cloud-pubsub-emulator-") && name.ends_with("-all.jar")
}
