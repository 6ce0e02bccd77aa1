//! What one can say on the command line, and the exit codes.
//!
//! 0: done. 1: it failed, the last line says why and what to do. 2: the command line or the
//! configuration is wrong. 3: it ran, and what it checked does not add up. 4: it ran, and some rows
//! were refused.

mod citizens;
#[cfg(feature = "fuzzing")]
pub use send::fuzzing;
mod keys;
mod redrive;
mod send;
pub(crate) mod services;
mod topics;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use schemas::ids::MessageId;
use tracing_subscriber::EnvFilter;

use crate::config::{self, Settings};
use crate::plant;
use crate::topology;

/// The dispatch pipeline by which administrations reach citizens.
#[derive(Debug, Parser)]
#[command(name = "staffetta", version, after_help = EXAMPLES)]
pub struct Cli {
    /// A TOML file over the defaults; see `staffetta config show`.
    #[arg(long, global = true, env = "STAFFETTA_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  staffetta run                          everything in one process, as configured
  staffetta run --stages consent,vault   two stages only, where the log is Kafka
  staffetta config check --stages ingest whether a process of that one stage would start
  staffetta topics apply                 create topics, write first offsets
  staffetta redrive list --cause undecodable
  staffetta redrive resend --stage vault --older-than 15m --dry-run
  staffetta why 01JNDKQJM0THQ3F7T59F27VNZ4
  staffetta send messages.ndjson --url https://api.example --key-file key --preview 3
  STAFFETTA_LOG__KIND=kafka STAFFETTA_LOG__BOOTSTRAP=127.0.0.1:9092 staffetta run

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 ran but does not add up,
4 sent but some rows were refused.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs all stages and doors, or those named, until SIGTERM or Ctrl-C; then drains.
    Run {
        /// Only these. The embedded log serves one process, which must run them all.
        #[arg(long, value_delimiter = ',', value_parser = topology::WORDS)]
        stages: Vec<String>,
    },
    /// Runs the sender and citizen APIs with the views that they need.
    Ingest,
    /// Creates and lists topics.
    Topics {
        #[command(subcommand)]
        what: topics::Topics,
    },
    /// Publishes services from a file (the shape of `services.json`).
    Services {
        #[command(subcommand)]
        what: services::Services,
    },
    /// Brings citizens on board from a file (the shape of `citizens.ndjson`).
    Citizens {
        #[command(subcommand)]
        what: citizens::Citizens,
    },
    /// Makes and rotates the keyring.
    Keys {
        #[command(subcommand)]
        what: keys::Keys,
    },
    /// Shows or checks the configuration.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Dead letters: sees them, sends them again, ends them.
    Redrive {
        #[command(subcommand)]
        what: redrive::Redrive,
    },
    /// What became of a message, step by step, from the log alone.
    Why {
        message_id: MessageId,
        /// One JSON object an event.
        #[arg(long)]
        json: bool,
    },
    /// Sends many messages by single calls to any endpoint that speaks IO's sender API.
    Send(Box<send::Options>),
    /// Everything in one process with simulated providers and sample data.
    #[cfg(feature = "simulators")]
    Demo(crate::demo::Options),
    /// The provider simulators alone.
    #[cfg(feature = "simulators")]
    Sim(crate::demo::SimOptions),
    /// Prints a completion script.
    Completion { shell: clap_complete::Shell },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Exits 2 and names every fault, or says that all is well.
    Check {
        /// As a process with `run --stages` of these would be checked; all of them where not given.
        #[arg(long, value_delimiter = ',', value_parser = topology::WORDS)]
        stages: Vec<String>,
    },
    /// The commented defaults: every key there is.
    Show,
}

/// Carries out a command line.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match execute(cli) {
        Ok(code) => code,
        Err(error) if error.is::<config::BadConfig>() => {
            say(&error.to_string());
            ExitCode::from(2)
        }
        Err(error) if error.is::<Misuse>() => {
            say(&format!("error: {error}"));
            ExitCode::from(2)
        }
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A command line whose words are right and do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub String);

#[expect(clippy::print_stderr, reason = "the command line's own voice")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = || config::load(cli.config.as_deref(), std::env::vars());
    match cli.command {
        Command::Run { stages } => serve(settings()?, stages)?,
        Command::Ingest => {
            serve(settings()?, ["ingest", "directory", "status"].map(str::to_owned).to_vec())?;
        }
        Command::Topics { what } => topics::run(&what, || Ok(settings()?))?,
        Command::Services { what } => services::run(&what, &settings()?)?,
        Command::Citizens { what } => citizens::run(&what, &settings()?)?,
        Command::Keys { what } => keys::run(&what, &settings()?)?,
        Command::Config { what: ConfigCommand::Check { stages } } => {
            settings()?.check_stages(&stages)?;
            print("the configuration is valid");
        }
        Command::Config { what: ConfigCommand::Show } => print(config::DEFAULTS),
        Command::Redrive { what } => redrive::run(&what, &settings()?)?,
        Command::Why { message_id, json } => why::run(message_id, json, &settings()?)?,
        Command::Send(options) => return send::run(&options),
        #[cfg(feature = "simulators")]
        Command::Demo(options) => return crate::demo::run(&options),
        #[cfg(feature = "simulators")]
        Command::Sim(options) => crate::demo::simulate(&options)?,
        Command::Completion { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "staffetta",
                &mut std::io::stdout(),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(settings: Settings, stages: Vec<String>) -> anyhow::Result<()> {
    settings.check_stages(&stages)?;
    logging(&settings.operations.log_format, &settings.operations.log_filter);
    executor()?.block_on(async {
        let plant = plant::start(settings, &stages).await?;
        tracing::info!(addresses = ?plant.addresses, "running; SIGTERM or Ctrl-C drains");
        let whole = tokio::select! {
            result = stopped() => result.map(|()| true)?,
            () = plant.broken() => false,
        };
        tracing::info!("draining");
        plant.shutdown().await;
        // Half a process looks alive to whoever asks it; one that has ended is started again.
        anyhow::ensure!(whole, "a worker or a view has ended, the log says why: start again");
        Ok(())
    })
}

/// The executor of HTTP, Redis and SMTP; the log has threads of its own.
pub(crate) fn executor() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Resolves on SIGTERM or Ctrl-C.
pub(crate) async fn stopped() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// Log lines on standard error, for machines or for people.
pub(crate) fn logging(format: &str, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process (tests) changes nothing.
    let _ = if format == "json" { lines.json().try_init() } else { lines.try_init() };
}
