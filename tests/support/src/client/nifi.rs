//! NiFi's own `InvokeHTTP`, run in NiFi's `TestRunner`: the processor, its HTTP client and its TLS
//! are the ones of a flow.

use crate::gateway::Home;
use crate::jars::{Artifact, fetch_alone, need, once};

/// The last version that runs on Java 17.
const VERSION: &str = "1.28.1";
const PROGRAM: &str = include_str!("nifi/Invoke.java");
/// The jars of which classes are loaded: 19 MB. With all that they name it would be 80 MB.
const ARTIFACTS: [Artifact; 25] = [
    ("org.apache.nifi", "nifi-standard-processors", VERSION),
    ("org.apache.nifi", "nifi-mock", VERSION),
    ("org.apache.nifi", "nifi-api", VERSION),
    ("org.apache.nifi", "nifi-data-provenance-utils", VERSION),
    ("org.apache.nifi", "nifi-deprecation-log", VERSION),
    ("org.apache.nifi", "nifi-expression-language", VERSION),
    ("org.apache.nifi", "nifi-framework-api", VERSION),
    ("org.apache.nifi", "nifi-framework-core-api", VERSION),
    ("org.apache.nifi", "nifi-oauth2-provider-api", VERSION),
    ("org.apache.nifi", "nifi-parameter", VERSION),
    ("org.apache.nifi", "nifi-property-utils", VERSION),
    ("org.apache.nifi", "nifi-proxy-configuration-api", VERSION),
    ("org.apache.nifi", "nifi-security-utils", VERSION),
    ("org.apache.nifi", "nifi-security-utils-api", VERSION),
    ("org.apache.nifi", "nifi-ssl-context-service-api", VERSION),
    // Maven has it in no later version.
    ("org.apache.nifi", "nifi-ssl-context-service", "1.27.0"),
    ("org.apache.nifi", "nifi-utils", VERSION),
    // The versions that NiFi's own pom names.
    ("com.squareup.okhttp3", "okhttp", "4.12.0"),
    ("com.squareup.okio", "okio-jvm", "3.6.0"),
    ("org.jetbrains.kotlin", "kotlin-stdlib", "1.8.21"),
    ("org.bouncycastle", "bcprov-jdk18on", "1.79"),
    ("org.antlr", "antlr-runtime", "3.5.3"),
    ("org.apache.commons", "commons-lang3", "3.17.0"),
    ("commons-io", "commons-io", "2.17.0"),
    ("org.slf4j", "slf4j-api", "1.7.36"),
];

/// A flow of one `InvokeHTTP` to a gateway that serves HTTPS.
pub struct Nifi<'a>(&'a Home);

/// A flow file that is sent.
pub struct FlowFile<'a> {
    /// The URL that it is posted to.
    pub url: String,
    /// The token in its cookie.
    pub token: &'a str,
    /// A record, or a number of zeros.
    pub content: String,
}

impl<'a> Nifi<'a> {
    /// Runs nothing yet. The certificate's authority stands in the home's `ca.pem`.
    pub fn new(home: &'a Home) -> Self {
        Self(home)
    }

    /// Sends flow files one after another, first over HTTP/1.1 and then over HTTP/2. Returns a line
    /// for each relationship that one of them was routed to, in order: the number of the flow file,
    /// the version of HTTP, the status and the relationship.
    ///
    /// # Panics
    /// Panics where Java or Maven is missing, or where NiFi's runner reports a fault.
    pub fn invoke(&self, files: &[FlowFile]) -> Vec<String> {
        need("javac", "-version");
        let libs = once(&format!("nifi-{VERSION}"), "libs", |libs| {
            fetch_alone(&ARTIFACTS, libs);
        });
        self.0.write("Invoke.java", PROGRAM);
        let run = self
            .0
            .command("java")
            // It runs for seconds: less compiling.
            .args(["-XX:TieredStopAtLevel=1", "-cp"])
            .arg(format!("{}/*", libs.display()))
            .args(["Invoke.java", "ca.pem"])
            .args(
                files
                    .iter()
                    .flat_map(|file| [file.url.as_str(), file.token, file.content.as_str()]),
            )
            .output()
            .expect("java runs");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        let lines = String::from_utf8(run.stdout).expect("lines in UTF-8");
        lines.lines().map(str::to_owned).collect()
    }
}
