//! `cargo xtask incident`: hurts a running Staffetta and asks a real Prometheus what it says of it.
//!
//! Nothing may fire before; then exactly the alert that belongs to the incident within two minutes;
//! after mending nothing. Time is real, so a run takes minutes.

mod http;
mod watch;

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::console::{note, say};
use crate::parts::{Place, Running, redis};
use crate::{demo, interrupt, packages, process};
use watch::Prometheus;

/// Examples:
///   cargo xtask incident provider-down
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[arg(value_enum)]
    name: Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// APNs cuts all connections
    ProviderDown,
    /// Redis ends, and comes back empty
    RedisGone,
}

impl Name {
    fn alert(self) -> &'static str {
        match self {
            Self::ProviderDown => "StaffettaProviderDown",
            Self::RedisGone => "StaffettaViewNotReady",
        }
    }
}

const START: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_secs(30);
const FIRES_WITHIN: Duration = Duration::from_secs(120);
/// A breaker asks again after twice as long each time.
const CLEARS_WITHIN: Duration = Duration::from_secs(300);
/// Between two messages, and between two looks.
const STEP: Duration = Duration::from_millis(250);

/// What runs during an incident; ends with it, the watcher first.
struct Scene {
    prometheus: Prometheus,
    ready: Value,
    _staffetta: Running,
    redis: Option<redis::Redis>,
    sent: u64,
}

impl Arguments {
    pub fn run(self) -> Result<ExitCode> {
        packages::ensure(&packages::BUILD)?;
        demo::build()?;
        let mut scene = Scene::set(self.name)?;
        note("nothing may fire");
        let early = scene.until(QUIET, |firing| !firing.is_empty())?;
        ensure!(early.is_none(), "{:?} fires before anything happened", scene.prometheus.firing()?);
        scene.hurt(self.name)?;
        note("hurt");
        let expected = BTreeSet::from([self.name.alert().to_owned()]);
        let fired = scene.until(FIRES_WITHIN, |firing| !firing.is_empty())?;
        let Some(fired) = fired else { bail!("nothing fires within two minutes") };
        // Whoever else would fire has as long as the first.
        let others =
            scene.until(FIRES_WITHIN.saturating_sub(fired), |firing| *firing != expected)?;
        ensure!(others.is_none(), "fires: {:?}, should: {expected:?}", scene.prometheus.firing()?);
        scene.mend(self.name)?;
        note("mended");
        let cleared = scene.until(CLEARS_WITHIN, BTreeSet::is_empty)?;
        let Some(cleared) = cleared else { bail!("{expected:?} does not clear") };
        let name =
            self.name.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
        let (alert, fired, cleared) = (self.name.alert(), fired.as_secs(), cleared.as_secs());
        say(format_args!("| {name} | {alert} | {fired} | {cleared} | 0 |"));
        Ok(ExitCode::SUCCESS)
    }
}

impl Scene {
    fn set(name: Name) -> Result<Self> {
        let redis =
            (name == Name::RedisGone).then(|| redis::up(Place::passing("redis"))).transpose()?;
        let mut staffetta = Running::prepare(Place::passing("demo"), "demo", String::new())?;
        let (file, log) =
            (staffetta.folder().join("ready.json"), staffetta.folder().join("demo.log"));
        let mut command = Command::new(process::workspace().join("target/debug/staffetta"));
        command.args(["demo", "--messages", "50", "--time-scale", "1", "--ready-file"]).arg(&file);
        redis.iter().for_each(|redis| {
            command.arg("--redis").arg(&redis.address);
        });
        staffetta.start("demo", &mut command, &log)?;
        if !interrupt::wait_until(START, STEP, || file.is_file()) {
            bail!("staffetta does not answer; see {}", log.display());
        }
        let ready: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        let metrics = ready["metrics"].as_str().context("the demo names no metrics")?;
        let prometheus = watch::prometheus(metrics)?;
        Ok(Self { prometheus, ready, _staffetta: staffetta, redis, sent: 0 })
    }

    /// Sends messages and looks until `holds` of what fires, at most `limit`; how long that took.
    fn until(
        &mut self,
        limit: Duration,
        holds: impl Fn(&BTreeSet<String>) -> bool,
    ) -> Result<Option<Duration>> {
        let since = Instant::now();
        while since.elapsed() < limit {
            ensure!(!interrupt::requested(), "interrupted");
            self.send();
            if holds(&self.prometheus.firing()?) {
                return Ok(Some(since.elapsed()));
            }
            interrupt::wait_until(STEP, STEP, || false);
        }
        Ok(None)
    }

    /// A message to a citizen with an iPhone, by a service that may. What it is answered is the
    /// incident's business.
    fn send(&mut self) {
        let services = self.ready["services"].as_array().map(Vec::as_slice).unwrap_or_default();
        let may = |group: &str, service: &Value| {
            service["groups"].as_array().is_some_and(|groups| groups.iter().any(|it| it == group))
        };
        let service = services.iter().find(|service| {
            may("ApiMessageWrite", service) && !may("ApiLimitedMessageWrite", service)
        });
        let key = service.and_then(|service| service["key"].as_str()).unwrap_or_default();
        let body = json!({
            "fiscal_code": self.ready["citizens"]["on_board_apns"]["fiscal_code"],
            "content": {
                "subject": "Una prova della staffetta",
                "markdown": format!("Questo messaggio attraversa tutta la staffetta, con il numero {}, \
                    mentre qualcosa non funziona come dovrebbe: si guarda chi se ne accorge.", self.sent),
            },
        });
        let headers = [
            format!("Ocp-Apim-Subscription-Key: {key}"),
            "Content-Type: application/json".to_owned(),
        ];
        let api = self.ready["api"].as_str().unwrap_or_default();
        let _ = http::ask("POST", api, "/api/v1/messages", &headers, &body.to_string());
        self.sent += 1;
    }

    fn script_apns(&self, script: &str) -> Result<()> {
        let admin = self.ready["simulators"]["apns"]["admin"].as_str().context("no APNs double")?;
        let headers = ["Content-Type: application/json".to_owned()];
        let (status, said) = http::ask("POST", admin, "/script", &headers, script)?;
        ensure!((200..300).contains(&status), "the double answers {status}: {said}");
        Ok(())
    }

    fn hurt(&mut self, name: Name) -> Result<()> {
        match name {
            Name::ProviderDown => self.script_apns("{\"down\": true}"),
            Name::RedisGone => self.redis.as_mut().context("no Redis")?.stop(),
        }
    }

    fn mend(&mut self, name: Name) -> Result<()> {
        match name {
            Name::ProviderDown => self.script_apns("{\"down\": false}"),
            Name::RedisGone => self.redis.as_mut().context("no Redis")?.start_again(),
        }
    }
}
