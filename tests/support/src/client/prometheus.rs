//! A real Prometheus that scrapes gateways, with the configuration and the rules of
//! `deploy/prometheus`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use ureq::Agent;

use crate::brokers::ports;
use crate::brokers::process::{Folder, Guarded, tail};
use crate::eventually::{AMPLE, eventually};

/// The folder of the rules and of the example of a configuration.
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus");

/// A running Prometheus. It ends when this is dropped, and with the process.
pub struct Prometheus {
    process: Guarded,
    folder: Folder,
    url: String,
    agent: Agent,
}

impl Prometheus {
    /// Starts one that scrapes these admin listeners each second, and waits until it has scraped
    /// all. But for that, and for the targets, the configuration is the example's.
    ///
    /// # Panics
    /// If it does not start, with the end of its log.
    pub fn start(targets: &[SocketAddr]) -> Self {
        Self::start_with(targets, |configuration, _| configuration)
    }

    /// As [`start`](Self::start), with a configuration that `edit` returns, and with the files beside
    /// it that `edit` writes into the folder.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(targets: &[SocketAddr], edit: impl FnOnce(String, &Path) -> String) -> Self {
        let folder = Folder::new("iem-prometheus-");
        for file in ["alerts.yml", "recording.yml"] {
            fs::copy(Path::new(DEPLOY).join(file), folder.path().join(file)).expect("a copy");
        }
        let example = fs::read_to_string(Path::new(DEPLOY).join("prometheus.yml"));
        let targets: Vec<_> = targets
            .iter()
            .map(|target| format!("\"{target}\""))
            .collect();
        let configuration = example
            .expect("the example")
            .replace("\"127.0.0.1:9090\"", &targets.join(", "))
            .replace("15s", "1s");
        let file = folder.path().join("prometheus.yml");
        let configuration = edit(configuration, folder.path());
        fs::write(&file, configuration).expect("a file in a folder of its own");
        let address = format!("127.0.0.1:{}", ports::free(1)[0]);
        let process = Guarded::spawn(
            &folder.path().join("log"),
            &[
                "prometheus",
                &format!("--config.file={}", file.display()),
                &format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ),
                &format!("--web.listen-address={address}"),
            ],
        );
        let agent = Agent::config_builder().http_status_as_error(false).build();
        let prometheus = Self {
            process,
            folder,
            url: format!("http://{address}"),
            agent: agent.into(),
        };
        eventually(AMPLE, "Prometheus is ready", || prometheus.is_ready());
        let count = targets.len();
        eventually(AMPLE, "all gateways are scraped", || {
            let up = prometheus.query("up{job=\"iem-gateway\"} == 1");
            up.expect("an answer").len() == count
        });
        prometheus
    }

    /// Returns the values of an expression's series, without those that are no number, or the error.
    pub fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let answer = self.get("/api/v1/query", Some(expression))?;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let series = answer["data"]["result"]
            .as_array()
            .expect("a vector")
            .iter();
        let values = series.map(|series| {
            let value = series["value"][1].as_str().expect("a value");
            value.parse::<f64>().expect("a number")
        });
        Ok(values.filter(|value| value.is_finite()).collect())
    }

    /// Returns all rules, with their states.
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/rules", None).expect("an answer");
        let groups = answer["data"]["groups"].as_array().expect("groups").iter();
        groups
            .flat_map(|group| group["rules"].as_array().expect("rules").clone())
            .collect()
    }

    /// Returns whether it answers. The test fails if it has ended.
    fn is_ready(&self) -> bool {
        assert!(
            self.process.is_running(),
            "prometheus does not run; scripts/test installs it:\n{}",
            tail(&self.folder.path().join("log"))
        );
        let answer = self.agent.get(format!("{}/-/ready", self.url)).call();
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    fn get(&self, path: &str, query: Option<&str>) -> Result<Value, String> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(query) = query {
            request = request.query("query", query);
        }
        let mut answer = request.call().map_err(|error| error.to_string())?;
        answer
            .body_mut()
            .read_json()
            .map_err(|error| error.to_string())
    }
}
