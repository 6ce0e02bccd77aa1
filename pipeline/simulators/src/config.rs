//! What may be set about the doubles.

use std::path::PathBuf;
use std::time::Duration;

use crate::StartError;

/// Whether the doubles check what they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every rule of the real service, everything accepted is kept.
    Validating,
    /// APNs and FCM answer 200 to every request, check and keep nothing: for benchmarks, where a
    /// double that checks would be what is measured. Tokens, OAuth2 and SMTP stay as they are.
    Null,
}

/// The two forms that RFC 9110 §10.2.3 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds,
    Date,
}

/// What the SMTP double demands by AUTH.
#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

#[derive(Clone)]
pub struct Config {
    /// Where PEM files and keys are written; made if it does not exist.
    pub folder: PathBuf,
    /// How much faster than the wall clock scripted delays pass: 2 s take 2 s / `time_scale`.
    pub time_scale: f64,
    pub mode: Mode,
    /// Delay before every answer of APNs and FCM (the real ones take 40 to 100 ms). Not scaled.
    pub answer_delay: Duration,
    /// Entries kept for `/received`, per double; what comes later is counted as dropped.
    pub received_max: usize,
    /// Bytes kept for `/received`, per double; what comes later is counted as dropped.
    pub received_max_bytes: usize,

    pub apns_topic: String,
    /// Streams a connection may have at once, from the first accepted provider token on.
    pub apns_streams: u32,
    /// Whether a refused notification sets the connection back to one stream until the next
    /// accepted one, as was seen in 2016 (openradar 27870881).
    pub apns_one_stream_after_refusal: bool,
    /// After how many requests a connection is sent away (GOAWAY), the rest of its streams
    /// unprocessed.
    pub apns_goaway_after: Option<u64>,
    /// After how long without a stream a connection is sent away with `IdleTimeout`. Not scaled.
    pub apns_idle_timeout: Option<Duration>,

    pub fcm_project_id: String,
    pub fcm_streams: u32,
    pub fcm_goaway_after: Option<u64>,
    /// The value of scripted `Retry-After` headers. Not scaled: it is what the client reads.
    pub retry_after_seconds: u64,
    pub retry_after: RetryAfter,
    /// Life of an OAuth2 access token. Google's live for an hour, less a second.
    pub access_token_seconds: u64,

    /// With credentials AUTH is demanded and checked; without, any credentials are welcome.
    pub smtp_credentials: Option<Credentials>,
    /// What SIZE announces (RFC 1870).
    pub smtp_max_bytes: usize,
    /// After how many messages a connection answers 421 and closes.
    pub smtp_messages_per_connection: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            folder: PathBuf::from("simulators"),
            time_scale: 1.0,
            mode: Mode::Validating,
            answer_delay: Duration::ZERO,
            received_max: 1_000_000,
            received_max_bytes: 1 << 30,
            apns_topic: "it.example.staffetta".into(),
            apns_streams: 1000,
            apns_one_stream_after_refusal: false,
            apns_goaway_after: None,
            apns_idle_timeout: None,
            fcm_project_id: "staffetta-sample".into(),
            fcm_streams: 100,
            fcm_goaway_after: None,
            retry_after_seconds: 2,
            retry_after: RetryAfter::Seconds,
            access_token_seconds: 3599,
            smtp_credentials: None,
            smtp_max_bytes: 10 << 20,
            smtp_messages_per_connection: None,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = |key, must| Err(StartError::Config { key, must });
        if !(self.time_scale.is_finite() && self.time_scale > 0.0) {
            return wrong("time_scale", "a finite number above 0");
        }
        if self.apns_streams == 0 {
            return wrong("apns_streams", "at least 1");
        }
        if self.fcm_streams == 0 {
            return wrong("fcm_streams", "at least 1");
        }
        if self.apns_topic.is_empty() {
            return wrong("apns_topic", "a bundle id");
        }
        if self.fcm_project_id.is_empty() {
            return wrong("fcm_project_id", "a project id");
        }
        Ok(())
    }

    /// A scripted duration, told in wall-clock time, as it really passes.
    pub(crate) fn scaled(&self, wall: Duration) -> Duration {
        Duration::try_from_secs_f64(wall.as_secs_f64() / self.time_scale).unwrap_or(wall)
    }
}
