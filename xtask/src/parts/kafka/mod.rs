//! Apache Kafka on this machine: one node, or three that survive the loss of one.

mod client;
mod jars;
mod node;
mod probe;

use std::time::Duration;

use anyhow::{Result, bail};

use super::running::{Process, Record, tail};
use super::{Place, Running};
use crate::console::Waiting;
use crate::packages::{self, Need};
use crate::{interrupt, process};
use node::Node;

/// The version of every jar that is fetched.
pub const VERSION: &str = "4.3.1";

/// Three brokers on two slow cores need 15 s; a machine that compiles meanwhile needs more.
const START: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(200);

/// How many brokers: one, or three with a replication factor of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    One,
    Three,
}

impl Nodes {
    #[must_use]
    pub fn count(self) -> u16 {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// A cluster that answers and has committed a transaction. It ends when this value is dropped.
#[derive(Debug)]
pub struct Kafka {
    /// `127.0.0.1:port`, one for each broker, with commas between them.
    pub bootstrap: String,
    running: Running,
}

impl Kafka {
    /// Where its data, settings and log lie.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.running.folder()
    }

    /// One for each broker, in the order of `bootstrap`.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.running.record.processes
    }

    /// Lets the cluster outlive this command.
    #[must_use]
    pub fn keep(self) -> Record {
        self.running.keep()
    }
}

/// Starts a cluster with empty data. Returns when a transaction has committed on it: the internal
/// topics are made on first use, which would spoil whatever is measured or timed first.
pub fn up(place: Place, nodes: Nodes) -> Result<Kafka> {
    packages::ensure(&[Need::Java])?;
    let jars = jars::ready()?;
    let ports = process::free_ports(usize::from(nodes.count()) * 2)?;
    let nodes = Node::plan(place.folder(), &ports);
    let bootstrap = nodes.iter().map(Node::address).collect::<Vec<_>>().join(",");
    let mut running = Running::prepare(place, "kafka", bootstrap.clone())?;
    node::format(&nodes, &jars)?;
    for node in &nodes {
        running.start(&node.name(), &mut node.command(&jars, nodes.len()), &node.log())?;
    }
    let waiting = Waiting::on(format!("kafka {VERSION}, {} node(s) at {bootstrap}", nodes.len()));
    match ready(&mut running, &nodes, &waiting) {
        Ok(()) => waiting.done("ready"),
        Err(error) => {
            waiting.done("failed");
            return Err(error);
        }
    }
    Ok(Kafka { bootstrap, running })
}

fn ready(running: &mut Running, nodes: &[Node], waiting: &Waiting) -> Result<()> {
    let mut warm_up = probe::WarmUp::new(nodes.iter().map(Node::address).collect());
    let mut ended = None;
    let mut last = String::from("nothing answered");
    let committed = interrupt::wait_until(START, STEP, || {
        waiting.tick();
        ended = running.ended();
        if ended.is_some() {
            return true;
        }
        match warm_up.advance() {
            Ok(done) => done,
            Err(error) => {
                last = format!("{error:#}");
                false
            }
        }
    });
    let logs = || {
        let tails = nodes.iter().map(|node| format!("{}:\n{}", node.name(), tail(&node.log(), 15)));
        tails.collect::<Vec<_>>().join("\n")
    };
    match ended {
        Some(name) => bail!("{name} ended while starting; its last words:\n{}", logs()),
        None if committed => Ok(()),
        None if interrupt::requested() => bail!("interrupted while kafka was starting"),
        None => bail!("kafka is not ready after {START:?}: {last}\n{}", logs()),
    }
}

/// How many brokers of a recorded cluster answer, and whether a controller is elected.
#[must_use]
pub fn answers(record: &Record) -> String {
    let first = record.address.split(',').find_map(|address| probe::cluster(address).ok());
    match first {
        Some(cluster) => format!(
            "{} of {} broker(s) registered, controller {}",
            cluster.brokers,
            record.processes.len(),
            if cluster.has_controller { "elected" } else { "missing" }
        ),
        None => "no broker answers".to_owned(),
    }
}
