//! A real Prometheus with the chart's rules, and what it says is firing.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::http;
use crate::interrupt;
use crate::packages::{self, Need};
use crate::parts::{Place, Running};
use crate::process;

const START: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(200);

/// It ends when this value is dropped.
pub struct Prometheus {
    url: String,
    _running: Running,
}

/// Starts one that looks at `metrics` (`http://host:port/metrics`) every two seconds.
pub fn prometheus(metrics: &str) -> Result<Prometheus> {
    packages::ensure(&[Need::Prometheus])?;
    let program = process::find("prometheus").context("prometheus was here a moment ago")?;
    let port = process::free_ports(1)?.first().copied().context("one port was asked for")?;
    let address = format!("127.0.0.1:{port}");
    let mut running =
        Running::prepare(Place::passing("prometheus"), "prometheus", address.clone())?;
    let target = metrics.trim_start_matches("http://").trim_end_matches("/metrics");
    let rules = process::workspace().join("helm/rules/staffetta.yaml");
    let file = running.folder().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}}\n\
         rule_files: [{rules:?}]\n\
         scrape_configs:\n  - job_name: staffetta\n    static_configs: [{{targets: [{target:?}]}}]\n"
    );
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", running.folder().join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    let log = running.folder().join("prometheus.log");
    running.start("prometheus", &mut command, &log)?;
    let prometheus = Prometheus { url: format!("http://{address}"), _running: running };
    let answers =
        || http::ask("GET", &prometheus.url, "/-/ready", &[], "").is_ok_and(|it| it.0 == 200);
    if !interrupt::wait_until(START, STEP, answers) {
        bail!("prometheus does not answer; see {}", log.display());
    }
    Ok(prometheus)
}

impl Prometheus {
    /// The names of all alerts that fire.
    pub fn firing(&self) -> Result<BTreeSet<String>> {
        let (status, body) = http::ask("GET", &self.url, "/api/v1/alerts", &[], "")?;
        anyhow::ensure!(status == 200, "prometheus answers {status}");
        let answer: Value = serde_json::from_str(&body)?;
        let alerts = answer["data"]["alerts"].as_array().context("no list of alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing.filter_map(|it| it["labels"]["alertname"].as_str().map(str::to_owned)).collect())
    }
}
