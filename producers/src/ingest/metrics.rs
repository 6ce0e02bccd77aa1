//! Every metric of the sender API: name, help and labels.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// What was asked for; label values come from here only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    SubmitMessage,
    GetMessage,
    GetProfile,
    CreateBatch,
    PutRows,
    GetBatch,
    GetResults,
    OrderBatch,
}

impl Operation {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SubmitMessage => "submit_message",
            Self::GetMessage => "get_message",
            Self::GetProfile => "get_profile",
            Self::CreateBatch => "create_batch",
            Self::PutRows => "put_rows",
            Self::GetBatch => "get_batch",
            Self::GetResults => "get_batch_results",
            Self::OrderBatch => "order_batch",
        }
    }
}

/// Name, help, labels.
pub const CATALOGUE: &[(&str, &str, &[&str])] = &[
    ("ingest_requests_total", "Requests answered, by status.", &["operation", "status"]),
    ("ingest_request_seconds", "From a request's headers to its answer.", &["operation"]),
];

/// The metrics of a sender API.
#[derive(Clone)]
pub struct IngestMetrics {
    pub requests: IntCounterVec,
    pub seconds: HistogramVec,
}

impl IngestMetrics {
    /// Registers both in `registry`.
    ///
    /// # Panics
    /// If a name is taken: start-up only, a mistake in this file.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let (name, help, labels) = CATALOGUE[0];
        let requests = IntCounterVec::new(Opts::new(name, help), labels).expect("valid names");
        let (name, help, labels) = CATALOGUE[1];
        let buckets = prometheus::exponential_buckets(0.0005, 2.0, 14).expect("valid buckets");
        let options = HistogramOpts::new(name, help).buckets(buckets);
        let seconds = HistogramVec::new(options, labels).expect("valid names");
        registry.register(Box::new(requests.clone())).expect("each name once");
        registry.register(Box::new(seconds.clone())).expect("each name once");
        Self { requests, seconds }
    }

    pub(super) fn answered(&self, operation: Operation, status: u16, seconds: f64) {
        self.requests.with_label_values(&[operation.name(), &status.to_string()]).inc();
        self.seconds.with_label_values(&[operation.name()]).observe(seconds);
    }
}
