//! The processes of a run: simulators and `staffetta`, configured by their environment, each with its
//! own words in a file.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::people::{self, Mail};
use super::settings;
use crate::http;
use crate::logs::Place;
use crate::meter::Meter;

/// For a process to answer that it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run is made of.
pub struct Plan<'a> {
    pub staffetta: &'a Path,
    pub folder: &'a Path,
    pub place: &'a Place,
    /// Simulators that check what they get.
    pub validating: bool,
    /// A process for each stage.
    pub split: bool,
}

/// A running installation. What still runs when it is dropped is killed.
pub struct World {
    simulators: Running,
    /// Where the simulators tell what they have taken.
    admins: Vec<SocketAddr>,
    pipeline: Vec<Running>,
    pub sender_api: SocketAddr,
}

/// A process of ours.
struct Running {
    name: String,
    child: Child,
    words: PathBuf,
    operations: Option<SocketAddr>,
}

impl World {
    /// Brings services and citizens on board, starts everything, returns when all are ready.
    ///
    /// # Errors
    /// What did not work, with the last words of the process that it concerns.
    pub async fn start(plan: &Plan<'_>, mail: &Mail) -> Result<Self> {
        std::fs::create_dir_all(plan.folder)?;
        let (simulators, facts) = start_simulators(plan)?;
        let environment = settings::common(plan, &facts)?;
        let services = plan.folder.join("services.json");
        let citizens = plan.folder.join("citizens.ndjson");
        mail.write_services(&services)?;
        people::write_citizens(&citizens)?;
        command(plan, &environment, &["keys", "create"])?;
        if plan.place.kafka.is_some() {
            command(plan, &environment, &["topics", "apply"])?;
        }
        command(plan, &environment, &["services", "apply", text(&services)])?;
        command(plan, &environment, &["citizens", "load", text(&citizens)])?;
        let sender_api = free_port()?;
        let mut pipeline = Vec::new();
        for (name, arguments) in settings::processes(plan) {
            let mut environment = environment.clone();
            let operations = free_port()?;
            environment.push(("SENDER_API__LISTEN".into(), sender_api.to_string()));
            environment.push(("OPERATIONS__LISTEN".into(), operations.to_string()));
            let mut running = spawn(plan, name, &environment, &arguments, Stdio::null())?;
            running.operations = Some(operations);
            pipeline.push(running);
        }
        let admins = ["apns", "fcm"].iter().flat_map(|name| facts[name]["admin"].as_str());
        let admins = admins.flat_map(|url| url.strip_prefix("http://")).flat_map(str::parse);
        let mut world = Self { simulators, admins: admins.collect(), pipeline, sender_api };
        world.wait_until_ready().await?;
        Ok(world)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        for running in &mut self.pipeline {
            let Some(operations) = running.operations else { continue };
            while !http::get(operations, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
                running.must_live()?;
                ensure!(
                    Instant::now() < until,
                    "{} is not ready: {}",
                    running.name,
                    running.last()
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// All processes, this one as the sender.
    #[must_use]
    pub fn meter(&self) -> Meter {
        let mut meter = Meter::default();
        for running in &self.pipeline {
            meter.add(&running.name, running.child.id());
        }
        meter.add(&self.simulators.name, self.simulators.child.id());
        meter.add("sender", std::process::id());
        meter
    }

    /// Where each process of the pipeline shows its metrics.
    #[must_use]
    pub fn operations(&self) -> Vec<SocketAddr> {
        self.pipeline.iter().filter_map(|running| running.operations).collect()
    }

    /// What the simulators count as accepted; zero where they keep no books.
    ///
    /// # Errors
    /// They do not answer.
    pub async fn taken_by_providers(&self) -> Result<u64> {
        let mut sum = 0;
        for admin in &self.admins {
            let (_, body) = http::get(*admin, "/counts").await?;
            let counts: Value = serde_json::from_slice(&body)?;
            sum += counts["accepted"].as_u64().unwrap_or(0);
        }
        Ok(sum)
    }

    /// Every process is asked to drain, and has ended.
    ///
    /// # Errors
    /// One does not end, or did not end well.
    pub fn stop(mut self) -> Result<()> {
        for running in &self.pipeline {
            running.ask_to_end();
        }
        self.pipeline.iter_mut().try_for_each(Running::wait)?;
        self.simulators.ask_to_end();
        self.simulators.wait()
    }
}

impl Running {
    fn ask_to_end(&self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    fn wait(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}: {}", self.name, self.last());
                return Ok(());
            }
            ensure!(Instant::now() < until, "{} does not end: {}", self.name, self.last());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn must_live(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}: {}", self.name, self.last());
        }
        Ok(())
    }

    /// The last lines that it wrote.
    fn last(&self) -> String {
        let text = std::fs::read_to_string(&self.words).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The simulators and what they say of themselves: one JSON object, then nothing.
fn start_simulators(plan: &Plan<'_>) -> Result<(Running, Value)> {
    let folder = plan.folder.join("simulators");
    let mut arguments = vec!["sim", "--folder", text(&folder)];
    if !plan.validating {
        arguments.push("--null");
    }
    let mut running = spawn(plan, "simulators", &[], &arguments, Stdio::piped())?;
    let out = running.child.stdout.take().context("the simulators have no output")?;
    let facts =
        serde_json::Deserializer::from_reader(out.take(1 << 20)).into_iter::<Value>().next();
    match facts {
        Some(Ok(facts)) => Ok((running, facts)),
        Some(Err(_)) | None => bail!("the simulators do not start: {}", running.last()),
    }
}

fn spawn(
    plan: &Plan<'_>,
    name: &str,
    environment: &[(String, String)],
    arguments: &[impl AsRef<std::ffi::OsStr>],
    out: Stdio,
) -> Result<Running> {
    let words = plan.folder.join(format!("{name}.log"));
    let child = staffetta(plan, environment)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(std::fs::File::create(&words)?)
        .spawn()
        .with_context(|| format!("cannot start {}", plan.staffetta.display()))?;
    Ok(Running { name: name.to_owned(), child, words, operations: None })
}

/// Runs one command to its end.
fn command(plan: &Plan<'_>, environment: &[(String, String)], arguments: &[&str]) -> Result<()> {
    let out = staffetta(plan, environment).args(arguments).output();
    let out = out.with_context(|| format!("cannot start {}", plan.staffetta.display()))?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "staffetta {}: {said}", arguments.join(" "));
    Ok(())
}

/// The binary, with no setting but ours.
fn staffetta(plan: &Plan<'_>, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(plan.staffetta);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(settings::PREFIX) {
            command.env_remove(name);
        }
    }
    for (key, value) in environment {
        command.env(format!("{}{key}", settings::PREFIX), value);
    }
    command
}

/// Free a moment ago; the one who is told to listen there says so if it no longer is.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Our own folders are named in plain letters.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
