//! `OkHttp`, the HTTP client of NiFi's `InvokeHTTP`, over HTTP/2.

use crate::gateway::Home;
use crate::jars::{Artifact, fetch, need, once};

/// The version that NiFi 1.28 and 2.0 have.
const VERSION: &str = "4.12.0";
const ARTIFACTS: [Artifact; 1] = [("com.squareup.okhttp3", "okhttp", VERSION)];
const PROGRAM: &str = include_str!("okhttp/Post.java");

/// Runs of `OkHttp` in a gateway's folder.
pub struct OkHttp<'a>(&'a Home);

impl<'a> OkHttp<'a> {
    /// Runs nothing yet.
    pub fn new(home: &'a Home) -> Self {
        Self(home)
    }

    /// Posts bodies of these lengths one after another to `url`, as the holder of `token`. Returns
    /// a line for each: the protocol, the status and the answer's body, or the exception.
    ///
    /// # Panics
    /// Panics where Java or Maven is missing, or where the program does not end in order.
    pub fn post(&self, url: &str, token: &str, lengths: &[usize]) -> String {
        need("javac", "-version");
        let libs = once(&format!("okhttp-{VERSION}"), "libs", |libs| {
            fetch(&ARTIFACTS, libs);
        });
        self.0.write("Post.java", PROGRAM);
        let run = self
            .0
            .command("java")
            .arg("-cp")
            .arg(format!("{}/*", libs.display()))
            .args(["Post.java", url, token])
            .args(lengths.iter().map(ToString::to_string))
            .output()
            .expect("java runs");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8(run.stdout).expect("lines in UTF-8")
    }
}
