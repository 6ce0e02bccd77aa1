//! `up`, `down` and `status` of the real servers.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::console::say;
use crate::parts::running::{self, Record};
use crate::parts::{Place, kafka, postfix, redis};

#[derive(Debug, Subcommand)]
pub enum Kafka {
    /// Start with empty data and wait until a transaction has committed
    ///
    /// Its jars are fetched once, with Maven, into .staffetta/cache or $STAFFETTA_CACHE, and their
    /// checksums compared with the pinned ones at every start. Data lies in .staffetta/kafka.
    Up {
        /// One broker, or three that survive the loss of one
        #[arg(long, value_enum, default_value_t = NodeCount::One)]
        nodes: NodeCount,
        #[command(flatten)]
        output: Output,
    },
    /// End it; the data stays until the next start
    Down(Output),
    /// Say whether it runs, and where; exit code 1 when it does not
    Status(Output),
}

#[derive(Debug, Subcommand)]
pub enum Redis {
    /// Start an empty server that keeps nothing on disk
    Up(Output),
    /// End it
    Down(Output),
    /// Say whether it runs, and where; exit code 1 when it does not
    Status(Output),
}

#[derive(Debug, Subcommand)]
pub enum Postfix {
    /// Start a server that demands STARTTLS and delivers everything into one mailbox
    Up(Output),
    /// End it; the mailbox stays until the next start
    Down(Output),
    /// Say whether it runs, and where; exit code 1 when it does not
    Status(Output),
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Answer as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum NodeCount {
    #[value(name = "1")]
    One,
    #[value(name = "3")]
    Three,
}

impl From<NodeCount> for kafka::Nodes {
    fn from(count: NodeCount) -> Self {
        match count {
            NodeCount::One => Self::One,
            NodeCount::Three => Self::Three,
        }
    }
}

impl Kafka {
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Up { nodes, output } => {
                let record = kafka::up(Place::standing("kafka"), nodes.into())?.keep();
                Ok(output.started(&record))
            }
            Self::Down(output) => output.down("kafka"),
            Self::Status(output) => output.status("kafka", kafka::answers),
        }
    }
}

impl Redis {
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Up(output) => Ok(output.started(&redis::up(Place::standing("redis"))?.keep())),
            Self::Down(output) => output.down("redis"),
            Self::Status(output) => {
                output.status("redis", |record| in_words(redis::answers(&record.address)))
            }
        }
    }
}

impl Postfix {
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Up(output) => {
                Ok(output.started(&postfix::up(Place::standing("postfix"))?.keep()))
            }
            Self::Down(output) => output.down("postfix"),
            Self::Status(output) => {
                output.status("postfix", |record| in_words(postfix::answers(&record.address)))
            }
        }
    }
}

fn in_words(answer: Result<()>) -> String {
    answer.map_or_else(|error| format!("{error:#}"), |()| "answers".to_owned())
}

impl Output {
    pub fn started(self, record: &Record) -> ExitCode {
        if self.json {
            say(facts(record, true));
        } else {
            say(&record.address);
            for (name, value) in &record.more {
                say(format_args!("{name}: {value}"));
            }
        }
        ExitCode::SUCCESS
    }

    pub fn down(self, what: &str) -> Result<ExitCode> {
        let place = Place::standing(what);
        let stopped = running::stop_recorded(place.folder())?;
        match (self.json, stopped) {
            (true, Some(record)) => say(facts(&record, false)),
            (true, None) => say(json!({ "what": what, "running": false })),
            (false, Some(record)) => say(format_args!("{what} at {} has ended", record.address)),
            (false, None) => say(format_args!("{what} was not running")),
        }
        Ok(ExitCode::SUCCESS)
    }

    pub fn status(self, what: &str, answers: impl Fn(&Record) -> String) -> Result<ExitCode> {
        let place = Place::standing(what);
        let record = Record::read(place.folder())?;
        let alive = record.as_ref().map_or(0, |record| record.alive(place.folder()));
        let Some(record) = record.filter(|_| alive > 0) else {
            if self.json {
                say(json!({ "what": what, "running": false }));
            } else {
                say(format_args!("{what} is not running; start it with: cargo xtask {what} up"));
            }
            return Ok(ExitCode::FAILURE);
        };
        let answer = answers(&record);
        if self.json {
            let mut facts = facts(&record, true);
            facts["alive"] = json!(alive);
            facts["answer"] = json!(answer);
            say(facts);
        } else {
            say(format_args!("{what} at {}: {answer}", record.address));
            for process in &record.processes {
                say(format_args!("  {} is process {}", process.name, process.pid));
            }
            say(format_args!("  data in {}", place.folder().display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn facts(record: &Record, running: bool) -> serde_json::Value {
    json!({
        "what": record.what,
        "running": running,
        "address": record.address,
        "processes": record.processes,
        "more": record.more,
    })
}
