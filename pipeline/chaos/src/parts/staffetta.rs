//! The system under test: `staffetta` as an operator runs it, in one process or in several.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use super::identity::{AUDIENCE, ISSUER};
use super::{Identity, Managed, STEP, Simulators, free_port};
use crate::sample::Sample;

const START: Duration = Duration::from_secs(120);
/// A member of a group that is silent for so long has lost its partitions.
pub const SESSION: Duration = Duration::from_secs(8);

/// Where the log is.
#[derive(Debug, Clone)]
pub enum LogPlace {
    /// In the run's folder, by one process.
    Embedded,
    Kafka {
        bootstrap: String,
        prefix: String,
        replication: u32,
    },
}

/// Which processes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Everything in one: `run`.
    One,
    /// The doors and the views in one (`ingest`), the stages in another (`stages`).
    Two,
    /// Each stage and the doors in processes of their own, two of each: `vault-0`, `vault-1`.
    Each,
}

/// What can be a process of its own beside `ingest`.
pub const STAGES: [&str; 7] = ["consent", "vault", "apns", "fcm", "email", "delay", "batch"];

/// A process, and where it says whether it is ready.
#[derive(Debug)]
pub struct Part {
    pub process: Managed,
    pub operations: String,
}

#[derive(Debug)]
pub struct Staffetta {
    program: PathBuf,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    /// One for each process that has the doors.
    pub sender_apis: Vec<String>,
    /// Of the first of them: a citizen's changes have one writer.
    pub citizen_api: Option<String>,
    identity: Option<PathBuf>,
    pub parts: Vec<Part>,
}

impl Staffetta {
    /// Plans the processes; nothing starts yet.
    pub fn plan(
        program: &Path,
        folder: &Path,
        log: &LogPlace,
        redis: Option<u16>,
        simulators: &Simulators,
        time_scale: f64,
    ) -> Result<Self> {
        let mut settings = general(folder, log, redis, time_scale);
        settings.extend(edges(simulators));
        Ok(Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            settings,
            sender_apis: Vec::new(),
            citizen_api: None,
            identity: None,
            parts: Vec::new(),
        })
    }

    /// Lets the first process with doors serve the citizen API to bearers of this issuer's tokens.
    #[must_use]
    pub fn with_citizens(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.key_set.clone());
        self
    }

    /// Waits for a silent provider longer than for its story: so its silence is handed over, and what came
    /// of it is left as a hint.
    #[must_use]
    pub fn with_long_silences(mut self) -> Self {
        for pool in ["APNS", "FCM"] {
            let key = format!("{pool}__POOL__ANSWER_WITHIN_MS");
            self.settings.retain(|(known, _)| *known != key);
            self.settings.push((key, "3000".to_owned()));
        }
        self
    }

    fn process(&self, name: &str, arguments: &[&str], more: &[(&str, String)]) -> Managed {
        let log = self.folder.join(format!("{name}.log"));
        let settings = self.settings.iter().map(|(key, value)| (spelt(key), value.clone()));
        let more = more.iter().map(|(key, value)| (spelt(key), value.clone()));
        let environment = settings.chain(more).collect();
        Managed::new(name, &self.program, arguments, &log).with(environment)
    }

    /// Plans a process and starts it. One that has the doors gets addresses for them.
    pub fn add(&mut self, name: &str, arguments: &[&str], ordinal: usize) -> Result<()> {
        let operations = format!("127.0.0.1:{}", free_port()?);
        let mut more = vec![
            ("OPERATIONS__LISTEN", operations.clone()),
            ("WORKER__ORDINAL", ordinal.to_string()),
        ];
        let has_doors = arguments == ["ingest"] || arguments == ["run"];
        if has_doors {
            let listen = format!("127.0.0.1:{}", free_port()?);
            self.sender_apis.push(format!("http://{listen}"));
            more.push(("SENDER_API__LISTEN", listen));
        }
        if let Some(keys) = self.identity.take_if(|_| has_doors) {
            let listen = format!("127.0.0.1:{}", free_port()?);
            self.citizen_api = Some(format!("http://{listen}"));
            more.push(("CITIZEN_API__LISTEN", listen));
            more.push(("CITIZEN_API__ISSUER", ISSUER.to_owned()));
            more.push(("CITIZEN_API__AUDIENCE", AUDIENCE.to_owned()));
            more.push(("CITIZEN_API__JWKS", keys.display().to_string()));
        }
        let mut process = self.process(name, arguments, &more);
        process.start()?;
        self.parts.push(Part { process, operations: format!("http://{operations}") });
        Ok(())
    }

    /// Keyring, topics, services and citizens, by the commands that an operator types.
    pub fn found(&self, sample: &Sample) -> Result<()> {
        let services = sample.services_file.display().to_string();
        let citizens = sample.citizens_file.display().to_string();
        for arguments in [
            &["keys", "create"][..],
            &["topics", "apply"],
            &["services", "apply", &services],
            &["citizens", "load", &citizens],
        ] {
            self.process("setup", arguments, &[]).run_to_end()?;
        }
        Ok(())
    }

    /// Starts every process of the layout and waits until all are ready.
    pub async fn start(&mut self, layout: Layout) -> Result<()> {
        match layout {
            Layout::One => self.add("run", &["run"], 0)?,
            Layout::Two => {
                self.add("ingest", &["ingest"], 0)?;
                self.add("stages", &["run", "--stages", &STAGES.join(",")], 0)?;
            }
            Layout::Each => {
                // Shorter than a freeze, so that a frozen member loses its partitions.
                let session = SESSION.as_millis().to_string();
                self.settings.push(("LOG__SESSION_TIMEOUT_MS".to_owned(), session));
                for ordinal in 0..2 {
                    self.add(&format!("ingest-{ordinal}"), &["ingest"], ordinal)?;
                    for stage in STAGES {
                        self.add_stage(stage, ordinal)?;
                    }
                }
            }
        }
        for part in &mut self.parts {
            part.ready().await?;
        }
        Ok(())
    }

    /// One more instance of a stage.
    pub fn add_stage(&mut self, stage: &str, ordinal: usize) -> Result<()> {
        self.add(&format!("{stage}-{ordinal}"), &["run", "--stages", stage], ordinal)
    }

    pub fn part(&mut self, name: &str) -> Result<&mut Part> {
        match self.parts.iter_mut().find(|part| part.process.name == name) {
            Some(part) => Ok(part),
            None => bail!("there is no process {name} in this layout"),
        }
    }

    /// SIGTERM to all; each must drain and end.
    pub async fn end(&mut self) -> Result<()> {
        for part in &mut self.parts {
            part.process.end(Duration::from_secs(60)).await?;
        }
        Ok(())
    }

    #[must_use]
    pub fn log_folder(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Part {
    /// Waits until `/readyz` says yes.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.operations);
        let end = tokio::time::Instant::now() + START;
        loop {
            if !self.process.runs() {
                bail!("{} has ended:\n{}", self.process.name, self.process.last_words());
            }
            let answer = reqwest::get(&url).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if tokio::time::Instant::now() > end {
                let words = self.process.last_words();
                bail!("{} is not ready after {START:?}:\n{words}", self.process.name);
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// Sum of the gauges of its workers whose names begin so: records behind, records in hand.
    pub async fn gauges(&self, beginning: &str) -> Result<f64> {
        let url = format!("{}/metrics", self.operations);
        let text = reqwest::get(url).await?.error_for_status()?.text().await?;
        let values = text.lines().filter(|line| line.starts_with(beginning));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

fn spelt(key: &str) -> String {
    format!("STAFFETTA_{key}")
}

fn general(
    folder: &Path,
    log: &LogPlace,
    redis: Option<u16>,
    time_scale: f64,
) -> Vec<(String, String)> {
    let inside = |part: &str| folder.join(part).display().to_string();
    // A limit on calls would be what is measured.
    let calls = || "1000000".to_owned();
    let mut all = vec![
        ("TIME_SCALE", format!("{time_scale:?}")),
        ("SIMULATED_PROVIDERS", "true".into()),
        ("LOG__FOLDER", inside("log")),
        ("LOG__PARTITIONS", "4".into()),
        ("KEYRING__FILE", inside("keyring.json")),
        ("STORE__FOLDER", inside("objects")),
        ("INGEST__RATE__DEFAULT_CALLS", calls()),
        ("INGEST__RATE__RAISED_CALLS", calls()),
        ("INGEST__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]".into()),
        ("OPERATIONS__LOG_FORMAT", "human".into()),
        ("OPERATIONS__LOG_FILTER", "info,lsm_tree=warn".into()),
    ];
    match log {
        LogPlace::Embedded => all.push(("LOG__KIND", "embedded".into())),
        LogPlace::Kafka { bootstrap, prefix, replication } => all.extend([
            ("LOG__KIND", "kafka".into()),
            ("LOG__BOOTSTRAP", bootstrap.clone()),
            ("LOG__PREFIX", prefix.clone()),
            ("LOG__REPLICATION", replication.to_string()),
        ]),
    }
    if let Some(port) = redis {
        all.push(("DIRECTORY__KIND", "redis".into()));
        all.push(("DIRECTORY__REDIS_URL", format!("redis://127.0.0.1:{port}")));
    }
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn edges(simulators: &Simulators) -> Vec<(String, String)> {
    let apns = |key| simulators.text("apns", key);
    let fcm = |key| simulators.text("fcm", key);
    let smtp = |key| simulators.text("smtp", key);
    let port = smtp("address").rsplit(':').next().unwrap_or_default().to_owned();
    let all = [
        ("APNS__ENABLED", "true".into()),
        ("APNS__URL", apns("url")),
        ("APNS__CA_FILE", apns("ca")),
        ("APNS__KEY_FILE", apns("key")),
        ("APNS__KEY_ID", apns("key_id")),
        ("APNS__TEAM_ID", apns("team_id")),
        ("APNS__TOPIC", apns("topic")),
        ("APNS__POOL__ANSWER_WITHIN_MS", "1000".into()),
        ("APNS__POOL__OPEN_SPACING_MS", "20".into()),
        ("FCM__ENABLED", "true".into()),
        ("FCM__URL", fcm("url")),
        ("FCM__CA_FILE", fcm("ca")),
        ("FCM__ACCOUNT_FILE", fcm("service_account")),
        ("FCM__POOL__ANSWER_WITHIN_MS", "1000".into()),
        ("FCM__POOL__OPEN_SPACING_MS", "20".into()),
        ("EMAIL__ENABLED", "true".into()),
        ("EMAIL__HOST", "localhost".into()),
        ("EMAIL__PORT", port),
        ("EMAIL__CA_FILE", smtp("ca")),
        ("EMAIL__FROM", "Staffetta <avvisi@staffetta.example>".into()),
        ("EMAIL__LINK", "https://app.staffetta.example".into()),
        ("EMAIL__UNSUBSCRIBE_URL", "https://cittadini.staffetta.example/unsubscribe".into()),
        ("EMAIL__VALIDATION_URL", "https://cittadini.staffetta.example/mailbox".into()),
        ("EMAIL__BOUNCE_DOMAIN", "bounce.staffetta.example".into()),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
