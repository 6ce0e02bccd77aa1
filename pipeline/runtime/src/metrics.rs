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
    /// Status events committed, by stage, lane and status.
    pub statuses: IntCounterVec,
    /// Faults, by stage, lane and reason.
    pub faults: IntCounterVec,
    /// Partitions that are owned and read, by stage and lane.
    pub partitions: IntGaugeVec,
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
    /// Records let go of between their beginning and their commit, by stage, lane and state.
    pub forgotten: IntCounterVec,
    /// From acceptance to the end of a stage's work on a record.
    pub since_accepted: HistogramVec,
    /// What providers answered, by channel, class and reason.
    pub attempts: IntCounterVec,
    /// From the start of a send to its answer, by channel.
    pub send: HistogramVec,
    /// Sends that did not start, by channel and cause.
    pub not_started: IntCounterVec,
    /// Sends whose stories went on without them, by channel.
    pub handed_over: IntCounterVec,
    /// What they were answered in the end, by channel and class.
    pub late_answers: IntCounterVec,
    /// Whether a view may be asked; brought up to date when somebody looks.
    pub view_ready: IntGaugeVec,
    pub edge: EdgeMetrics,
}

/// The ways out to the providers; brought up to date now and then.
#[derive(Clone)]
pub struct EdgeMetrics {
    pub breaker_state: IntGaugeVec,
    pub breaker_openings: Total,
    pub guard_tripped: IntGaugeVec,
    pub disbelieved: Total,
    pub paced: Total,
    pub paced_seconds: Total,
    pub connections: IntGaugeVec,
    pub opened: Total,
    pub streams: IntGaugeVec,
    pub waiting: IntGaugeVec,
    pub goaways: Total,
    pub replays: Total,
    pub unanswered: Total,
    pub token_age: IntGaugeVec,
    pub renewals: Total,
}

/// A counter that somebody else counts.
#[derive(Clone)]
pub struct Total(IntCounterVec);

impl Total {
    /// Raises it to `total`; one who began to count anew adds nothing until he has caught up.
    pub fn raise(&self, labels: &[&str], total: u64) {
        let counter = self.0.with_label_values(labels);
        counter.inc_by(total.saturating_sub(counter.get()));
    }
}

/// Name, help, labels.
pub const CATALOGUE: &[(&str, &str, &[&str])] = &[
    ("stage_records_in_total", "Records read.", &["stage", "lane"]),
    (
        "stage_records_out_total",
        "Records ended, by outcome and reason.",
        &["stage", "lane", "outcome", "reason"],
    ),
    ("stage_statuses_total", "Status events committed.", &["stage", "lane", "status"]),
    ("stage_faults_total", "Records held back by a fault of ours.", &["stage", "lane", "reason"]),
    ("stage_partitions", "Partitions owned and read.", &["stage", "lane"]),
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
        "stage_forgotten_records_total",
        "Records whose partition went before they were committed; remembered: came back, not repeated.",
        &["stage", "lane", "state"],
    ),
    (
        "stage_since_accepted_seconds",
        "From a message's acceptance to the end of this stage's work on it.",
        &["stage", "lane"],
    ),
    ("channel_attempts_total", "Providers' answers.", &["channel", "outcome", "reason"]),
    ("channel_send_seconds", "From the start of a send to its answer.", &["channel"]),
    ("channel_not_started_total", "Sends given back unsent, by cause.", &["channel", "cause"]),
    (
        "channel_handed_over_total",
        "Sends silent for so long that their stories went on.",
        &["channel"],
    ),
    (
        "channel_late_answers_total",
        "What sends that were handed over were answered; indeterminate: nothing.",
        &["channel", "outcome"],
    ),
    ("view_ready", "1 while the view may be asked.", &["view"]),
    ("edge_breaker_state", "1 for the state that the breaker is in.", &["channel", "state"]),
    ("edge_breaker_openings_total", "Times that the breaker opened.", &["channel", "cause"]),
    ("edge_guard_tripped", "1 while dead addresses are not believed.", &["channel"]),
    ("edge_disbelieved_total", "Dead addresses that were not believed.", &["channel"]),
    ("edge_paced_sends_total", "Sends that waited for their turn.", &["channel"]),
    ("edge_paced_seconds_total", "Their waits together, in whole seconds.", &["channel"]),
    ("edge_connections", "Connections open.", &["channel", "state"]),
    (
        "edge_connection_events_total",
        "Connections opened, not opened, given up as dead.",
        &["channel", "event"],
    ),
    ("edge_streams", "Sends that connections carry, and could carry more.", &["channel", "state"]),
    ("edge_waiting_sends", "Sends that wait for a stream.", &["channel"]),
    ("edge_goaways_total", "GOAWAY frames received.", &["channel", "reason"]),
    (
        "edge_replays_total",
        "Requests sent again, not having been processed.",
        &["channel", "cause"],
    ),
    ("edge_unanswered_total", "Requests that left and got no answer.", &["channel", "cause"]),
    ("edge_token_age_seconds", "Age of the token that is shown.", &["channel"]),
    ("edge_token_renewals_total", "Tokens replaced because they were refused.", &["channel"]),
];

impl Metrics {
    /// Registers everything in `registry`.
    ///
    /// # Panics
    /// If two metrics share a name: a mistake in this file.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        let maker = Maker(&registry);
        Self {
            records_in: maker.counter("stage_records_in_total"),
            records_out: maker.counter("stage_records_out_total"),
            statuses: maker.counter("stage_statuses_total"),
            faults: maker.counter("stage_faults_total"),
            partitions: maker.gauge("stage_partitions"),
            lag: maker.gauge("stage_lag_records"),
            oldest: maker.gauge("stage_oldest_seconds"),
            in_flight: maker.gauge("stage_in_flight_records"),
            commit: maker.histogram("stage_commit_seconds", (0.0005, 14)),
            rewinds: maker.counter("stage_rewinds_total"),
            forgotten: maker.counter("stage_forgotten_records_total"),
            since_accepted: maker.histogram("stage_since_accepted_seconds", (0.002, 22)),
            attempts: maker.counter("channel_attempts_total"),
            send: maker.histogram("channel_send_seconds", (0.001, 14)),
            not_started: maker.counter("channel_not_started_total"),
            handed_over: maker.counter("channel_handed_over_total"),
            late_answers: maker.counter("channel_late_answers_total"),
            view_ready: maker.gauge("view_ready"),
            edge: EdgeMetrics::new(&maker),
            registry,
        }
    }
}

impl EdgeMetrics {
    fn new(maker: &Maker<'_>) -> Self {
        let total = |name: &str| Total(maker.counter(name));
        Self {
            breaker_state: maker.gauge("edge_breaker_state"),
            breaker_openings: total("edge_breaker_openings_total"),
            guard_tripped: maker.gauge("edge_guard_tripped"),
            disbelieved: total("edge_disbelieved_total"),
            paced: total("edge_paced_sends_total"),
            paced_seconds: total("edge_paced_seconds_total"),
            connections: maker.gauge("edge_connections"),
            opened: total("edge_connection_events_total"),
            streams: maker.gauge("edge_streams"),
            waiting: maker.gauge("edge_waiting_sends"),
            goaways: total("edge_goaways_total"),
            replays: total("edge_replays_total"),
            unanswered: total("edge_unanswered_total"),
            token_age: maker.gauge("edge_token_age_seconds"),
            renewals: total("edge_token_renewals_total"),
        }
    }
}

/// Makes metrics of the catalogue and registers them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn spec(name: &str) -> &'static (&'static str, &'static str, &'static [&'static str]) {
        let row = CATALOGUE.iter().find(|row| row.0 == name);
        row.expect("every metric is in the catalogue")
    }

    fn counter(&self, name: &str) -> IntCounterVec {
        let (name, help, labels) = Self::spec(name);
        let made = IntCounterVec::new(Opts::new(*name, *help), labels).expect("valid");
        self.0.register(Box::new(made.clone())).expect("each name once");
        made
    }

    fn gauge(&self, name: &str) -> IntGaugeVec {
        let (name, help, labels) = Self::spec(name);
        let made = IntGaugeVec::new(Opts::new(*name, *help), labels).expect("valid");
        self.0.register(Box::new(made.clone())).expect("each name once");
        made
    }

    /// So many buckets, from the first bound on, each twice the one before.
    fn histogram(&self, name: &str, (first, count): (f64, usize)) -> HistogramVec {
        let (name, help, labels) = Self::spec(name);
        let buckets = prometheus::exponential_buckets(first, 2.0, count).expect("positive");
        let options = HistogramOpts::new(*name, *help).buckets(buckets);
        let made = HistogramVec::new(options, labels).expect("valid");
        self.0.register(Box::new(made.clone())).expect("each name once");
        made
    }
}
