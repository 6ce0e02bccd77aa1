//! Reading the pipeline's own metrics: what each stage has done, how far it is behind, how long its
//! commits took.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;
use prometheus::core::Collector;
use runtime::metrics::Metrics;
use schemas::topics::Channel;

use crate::http;

/// Names as the runtime declares them.
pub struct Names {
    records_in: String,
    records_out: String,
    faults: String,
    lag: String,
    in_flight: String,
    commit: String,
    rewinds: String,
}

impl Default for Names {
    fn default() -> Self {
        let metrics = Metrics::new(prometheus::Registry::new());
        Self {
            records_in: name(&metrics.records_in),
            records_out: name(&metrics.records_out),
            faults: name(&metrics.faults),
            lag: name(&metrics.lag),
            in_flight: name(&metrics.in_flight),
            commit: name(&metrics.commit),
            rewinds: name(&metrics.rewinds),
        }
    }
}

fn name(metric: &dyn Collector) -> String {
    metric.desc().first().map(|desc| desc.fq_name.clone()).unwrap_or_default()
}

/// One stage, both lanes together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stage {
    pub records_in: f64,
    pub records_out: f64,
    pub faults: f64,
    pub rewinds: f64,
    /// Not read yet. On Kafka transactions' own marks count: it does not come down to nothing.
    pub behind: f64,
    /// Between poll and commit.
    pub in_hand: f64,
    pub commits: f64,
    pub commit_seconds: f64,
}

/// All stages of all processes at one moment.
pub type Stages = BTreeMap<String, Stage>;

/// Asks every process.
///
/// # Errors
/// One does not answer.
pub async fn scrape(names: &Names, operations: &[SocketAddr]) -> Result<Stages> {
    let mut stages = Stages::new();
    for address in operations {
        let (_, body) = http::get(*address, "/metrics").await?;
        add(names, &String::from_utf8_lossy(&body), &mut stages);
    }
    Ok(stages)
}

fn add(names: &Names, text: &str, stages: &mut Stages) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((metric, labels, value)) = sample(line) else { continue };
        let Some(stage) = label(labels, "stage") else { continue };
        let slot = stages.entry(stage.to_owned()).or_default();
        match metric {
            _ if metric == names.records_in => slot.records_in += value,
            _ if metric == names.records_out => slot.records_out += value,
            _ if metric == names.faults => slot.faults += value,
            _ if metric == names.rewinds => slot.rewinds += value,
            _ if metric == names.lag => slot.behind += value,
            _ if metric == names.in_flight => slot.in_hand += value,
            _ if metric.strip_prefix(&names.commit) == Some("_sum") => slot.commit_seconds += value,
            _ if metric.strip_prefix(&names.commit) == Some("_count") => slot.commits += value,
            _ => {}
        }
    }
}

/// Name, labels and value of a line such as `name{a="b",c="d"} 1.5`.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (metric, labels) = series.split_once('{')?;
    Some((metric, labels.strip_suffix('}')?, value.parse().ok()?))
}

fn label<'a>(labels: &'a str, wanted: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let value = pair.strip_prefix(wanted)?.strip_prefix('=')?;
        value.strip_prefix('"')?.strip_suffix('"')
    })
}

/// Records that channels have ended: with a device each, a message's last.
#[must_use]
pub fn at_the_end(stages: &Stages) -> f64 {
    let names = Channel::ALL.map(Channel::name);
    let channels = stages.iter().filter(|(name, _)| names.contains(&name.as_str()));
    channels.map(|(_, stage)| stage.records_out).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_and_outcomes_of_a_stage_add_up() {
        let names = Names::default();
        let metrics = Metrics::new(prometheus::Registry::new());
        metrics.records_in.with_label_values(&["apns", "live"]).inc_by(3);
        for (lane, outcome) in [("live", "forward"), ("bulk", "forward"), ("live", "done")] {
            metrics.records_out.with_label_values(&["apns", lane, outcome, "none"]).inc();
        }
        metrics.lag.with_label_values(&["vault", "live"]).set(5);
        metrics.in_flight.with_label_values(&["vault", "live"]).set(2);
        metrics.commit.with_label_values(&["vault", "live", "full"]).observe(0.5);
        let mut text = String::new();
        let encoder = prometheus::TextEncoder::new();
        encoder.encode_utf8(&metrics.registry.gather(), &mut text).unwrap();
        let mut stages = Stages::new();
        add(&names, &text, &mut stages);
        assert_eq!((stages["apns"].records_in, stages["apns"].records_out), (3.0, 3.0));
        let vault = stages["vault"];
        assert_eq!((vault.behind, vault.in_hand), (5.0, 2.0));
        assert_eq!((vault.commits, vault.commit_seconds), (1.0, 0.5));
        assert_eq!(at_the_end(&stages), 3.0);
    }
}
