//! Every metric of the citizen API: name, help and labels.

use axum::extract::{MatchedPath, Request};
use hyper::Method;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// What was asked for; label values come from here only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    ReadProfile,
    WriteProfile,
    LeaveProfile,
    AskValidation,
    ReadPreference,
    WritePreference,
    PutInstallation,
    DeleteInstallation,
    ListInbox,
    OpenMessage,
    Link,
    Other,
}

impl Asked {
    /// As the label has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadProfile => "read_profile",
            Self::WriteProfile => "write_profile",
            Self::LeaveProfile => "leave_profile",
            Self::AskValidation => "ask_validation",
            Self::ReadPreference => "read_preference",
            Self::WritePreference => "write_preference",
            Self::PutInstallation => "put_installation",
            Self::DeleteInstallation => "delete_installation",
            Self::ListInbox => "list_inbox",
            Self::OpenMessage => "open_message",
            Self::Link => "link",
            Self::Other => "other",
        }
    }

    /// By the path's template, never by the path itself: that holds tokens.
    pub(super) fn of(request: &Request) -> Self {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let method = request.method();
        match (path, method) {
            ("/profile", &Method::GET) => Self::ReadProfile,
            ("/profile", &Method::PUT) => Self::WriteProfile,
            ("/profile", &Method::DELETE) => Self::LeaveProfile,
            ("/profile/validation", &Method::POST) => Self::AskValidation,
            ("/services/{service_id}/preferences", &Method::GET) => Self::ReadPreference,
            ("/services/{service_id}/preferences", &Method::PUT) => Self::WritePreference,
            ("/installations/{installation_id}", &Method::PUT) => Self::PutInstallation,
            ("/installations/{installation_id}", &Method::DELETE) => Self::DeleteInstallation,
            ("/inbox", &Method::GET) => Self::ListInbox,
            ("/inbox/{id}", &Method::GET) => Self::OpenMessage,
            ("/unsubscribe/{token}" | "/mailbox/{token}", &Method::GET | &Method::POST) => {
                Self::Link
            }
            (_, _) => Self::Other,
        }
    }
}

/// Name, help, labels.
pub const CATALOGUE: &[(&str, &str, &[&str])] = &[
    ("citizen_requests_total", "Requests answered, by status.", &["operation", "status"]),
    ("citizen_request_seconds", "From a request's headers to its answer.", &["operation"]),
    (
        "citizen_pen_takings_total",
        "How often this process took over the writing of citizens' records.",
        &[],
    ),
];

/// The metrics of a citizen API.
#[derive(Clone)]
pub struct CitizenMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    pub(super) pen_takings: IntCounter,
}

impl CitizenMetrics {
    /// Registers all in `registry`.
    ///
    /// # Panics
    /// If a name is taken: start-up only, a mistake in this file.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let (name, help, labels) = CATALOGUE[0];
        let requests = IntCounterVec::new(Opts::new(name, help), labels).expect("valid names");
        let (name, help, labels) = CATALOGUE[1];
        let buckets = prometheus::exponential_buckets(0.001, 2.0, 14).expect("valid buckets");
        let options = HistogramOpts::new(name, help).buckets(buckets);
        let seconds = HistogramVec::new(options, labels).expect("valid names");
        let (name, help, _) = CATALOGUE[2];
        let pen_takings = IntCounter::new(name, help).expect("valid names");
        registry.register(Box::new(requests.clone())).expect("each name once");
        registry.register(Box::new(seconds.clone())).expect("each name once");
        registry.register(Box::new(pen_takings.clone())).expect("each name once");
        Self { requests, seconds, pen_takings }
    }

    pub(super) fn answered(&self, asked: Asked, status: u16, seconds: f64) {
        self.requests.with_label_values(&[asked.name(), &status.to_string()]).inc();
        self.seconds.with_label_values(&[asked.name()]).observe(seconds);
    }
}
