//! Every metric of batches: name, help and labels.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Name, help, labels.
pub const CATALOGUE: &[(&str, &str, &[&str])] = &[
    ("batch_rows_total", "Rows, by what the owner did with them.", &["outcome"]),
    ("batch_waiting_rows", "Rows of the batches owned that wait to be released.", &[]),
    ("batch_waiting_senders", "Senders among whose batches the releaser goes round.", &[]),
    ("batch_backlog_records", "Records waiting in the bulk lane, all stages together.", &[]),
    (
        "batch_share_permille",
        "What the senders that waited all along got of the last ten seconds' rows, beside what their \
         weight would give: 1000 is just that; the least and the most favoured one.",
        &["sender"],
    ),
    ("batch_wait_seconds", "From a batch's last change until its first row was released.", &[]),
];

/// The metrics of an owner of batches.
#[derive(Clone)]
pub struct BatchMetrics {
    pub rows: IntCounterVec,
    pub waiting: IntGauge,
    pub senders: IntGauge,
    pub backlog: IntGauge,
    pub share: IntGaugeVec,
    pub wait: Histogram,
}

impl BatchMetrics {
    /// Registers all of them in `registry`.
    ///
    /// # Panics
    /// If a name is taken: start-up only, a mistake in this file.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let options = |at: usize| Opts::new(CATALOGUE[at].0, CATALOGUE[at].1);
        let gauge = |at: usize| IntGauge::with_opts(options(at)).expect("valid names");
        let (_, _, labels) = CATALOGUE[0];
        let rows = IntCounterVec::new(options(0), labels).expect("valid names");
        let (waiting, senders, backlog) = (gauge(1), gauge(2), gauge(3));
        let share = IntGaugeVec::new(options(4), CATALOGUE[4].2).expect("valid names");
        let buckets = prometheus::exponential_buckets(0.05, 2.0, 16).expect("valid buckets");
        let wait = HistogramOpts::new(CATALOGUE[5].0, CATALOGUE[5].1).buckets(buckets);
        let wait = Histogram::with_opts(wait).expect("valid names");
        let all: [Box<dyn prometheus::core::Collector>; 6] = [
            Box::new(rows.clone()),
            Box::new(waiting.clone()),
            Box::new(senders.clone()),
            Box::new(backlog.clone()),
            Box::new(share.clone()),
            Box::new(wait.clone()),
        ];
        for metric in all {
            registry.register(metric).expect("each name once");
        }
        Self { rows, waiting, senders, backlog, share, wait }
    }

    /// `outcome` is `taken`, `refused`, `released`, `withdrawn` or `lost`.
    pub(super) fn count(&self, outcome: &str, rows: i64) {
        self.rows.with_label_values(&[outcome]).inc_by(u64::try_from(rows).unwrap_or(0));
    }
}
