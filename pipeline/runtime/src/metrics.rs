//! Every metric of the runtime in one place: name, help and labels.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// The metrics of all workers of a process.
#[derive(Clone)]
pub struct Metrics {
    pub registry: Registry,
    /// Records read, by stage and lane.
    pub records_in: IntCounterVec,
    /// Records ended, by stage, lane, outcome and reason.
    pub records_out: IntCounterVec,
    /// Faults, by stage, lane and reason.
    pub faults: IntCounterVec,
    /// Records behind, by stage and lane.
    pub lag: IntGaugeVec,
    /// Age of the oldest record in hand.
    pub oldest: IntGaugeVec,
    /// Records between poll and commit.
    pub in_flight: IntGaugeVec,
    /// Commit time, by stage, lane and trigger.
    pub commit: HistogramVec,
    /// Commits that were rewound.
    pub rewinds: IntCounterVec,
    /// From acceptance to the end of a stage's work on a record.
    pub since_accepted: HistogramVec,
    /// What providers answered, by channel, class and reason.
    pub attempts: IntCounterVec,
    /// From the start of a send to its answer, by channel.
    pub send: HistogramVec,
}

/// Name, help, labels: the catalogue that the README's table is checked against.
pub const CATALOGUE: &[(&str, &str, &[&str])] = &[
    ("stage_records_in_total", "Records read.", &["stage", "lane"]),
    (
        "stage_records_out_total",
        "Records ended, by outcome and reason.",
        &["stage", "lane", "outcome", "reason"],
    ),
    ("stage_faults_total", "Records held back by a fault of ours.", &["stage", "lane", "reason"]),
    ("stage_lag_records", "Records behind in the partitions owned.", &["stage", "lane"]),
    ("stage_oldest_seconds", "Age of the oldest record in hand.", &["stage", "lane"]),
    ("stage_in_flight_records", "Records between poll and commit.", &["stage", "lane"]),
    (
        "stage_commit_seconds",
        "Time of a commit, by what triggered it.",
        &["stage", "lane", "trigger"],
    ),
    ("stage_rewinds_total", "Commits that failed and went back.", &["stage", "lane"]),
    (
        "stage_since_accepted_seconds",
        "From a message's acceptance to the end of this stage's work on it.",
        &["stage", "lane"],
    ),
    ("channel_attempts_total", "Providers' answers.", &["channel", "outcome", "reason"]),
    ("channel_send_seconds", "From the start of a send to its answer.", &["channel"]),
];

impl Metrics {
    /// Registers everything in `registry`.
    ///
    /// # Panics
    /// If two metrics share a name: a mistake in this file.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        let spec = |name: &str| {
            let row = CATALOGUE.iter().find(|row| row.0 == name);
            row.expect("every metric is in the catalogue")
        };
        let counter = |name: &str| {
            let (name, help, labels) = spec(name);
            let made = IntCounterVec::new(Opts::new(*name, *help), labels).expect("valid");
            registry.register(Box::new(made.clone())).expect("each name once");
            made
        };
        let gauge = |name: &str| {
            let (name, help, labels) = spec(name);
            let made = IntGaugeVec::new(Opts::new(*name, *help), labels).expect("valid");
            registry.register(Box::new(made.clone())).expect("each name once");
            made
        };
        let histogram = |name: &str, buckets: Vec<f64>| {
            let (name, help, labels) = spec(name);
            let options = HistogramOpts::new(*name, *help).buckets(buckets);
            let made = HistogramVec::new(options, labels).expect("valid");
            registry.register(Box::new(made.clone())).expect("each name once");
            made
        };
        let doubling = |first: f64, count| {
            prometheus::exponential_buckets(first, 2.0, count).expect("positive")
        };
        Self {
            records_in: counter("stage_records_in_total"),
            records_out: counter("stage_records_out_total"),
            faults: counter("stage_faults_total"),
            lag: gauge("stage_lag_records"),
            oldest: gauge("stage_oldest_seconds"),
            in_flight: gauge("stage_in_flight_records"),
            commit: histogram("stage_commit_seconds", doubling(0.0005, 14)),
            rewinds: counter("stage_rewinds_total"),
            since_accepted: histogram("stage_since_accepted_seconds", doubling(0.002, 22)),
            attempts: counter("channel_attempts_total"),
            send: histogram("channel_send_seconds", doubling(0.001, 14)),
            registry,
        }
    }
}
