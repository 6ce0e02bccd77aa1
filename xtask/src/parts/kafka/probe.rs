//! When a cluster is ready: every broker is registered, a controller is elected, a group has a
//! coordinator, and a transaction has committed. Message layouts: Kafka's protocol guide.

use anyhow::{Context, Result, bail};

use super::client::Request;

const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const CREATE_TOPICS: i16 = 19;
const DELETE_TOPICS: i16 = 20;
const INIT_PRODUCER_ID: i16 = 22;
const ADD_PARTITIONS: i16 = 24;
const END_TRANSACTION: i16 = 26;

/// Removed again afterwards: the topic list is a promise of its own.
const TOPIC: &str = "xtask.warm-up";
const NAME: &str = "xtask-warm-up";
const TIMEOUT_MS: i32 = 5_000;
const ALREADY_EXISTS: i16 = 36;
const UNKNOWN_TOPIC: i16 = 3;

/// What the cluster says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    pub brokers: i32,
    pub has_controller: bool,
}

/// Metadata, version 4.
pub fn cluster(address: &str) -> Result<Cluster> {
    let mut answer = Request::new(METADATA, 4).int32(0).int8(0).send(address)?;
    answer.int32()?; // throttle time
    let brokers = answer.int32()?;
    for _ in 0..brokers {
        answer.int32()?; // id
        answer.string()?; // host
        answer.int32()?; // port
        answer.string()?; // rack
    }
    answer.string()?; // cluster id
    Ok(Cluster { brokers, has_controller: answer.int32()? >= 0 })
}

/// The way to ready, step by step; each step is tried until it works.
#[derive(Debug)]
pub struct WarmUp {
    brokers: Vec<String>,
    step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Register,
    CreateTopic,
    FindGroup,
    FindTransaction,
    Commit { coordinator: String },
    DeleteTopic,
    Done,
}

impl WarmUp {
    #[must_use]
    pub fn new(brokers: Vec<String>) -> Self {
        Self { brokers, step: Step::Register }
    }

    /// Goes as far as it can. True when ready; the error tells what is still missing.
    pub fn advance(&mut self) -> Result<bool> {
        while self.step != Step::Done {
            self.step = self.next().with_context(|| format!("at step {:?}", self.step))?;
        }
        Ok(true)
    }

    fn next(&self) -> Result<Step> {
        let first = self.brokers.first().context("a cluster has a broker")?;
        Ok(match &self.step {
            Step::Register => {
                self.all_registered()?;
                Step::CreateTopic
            }
            Step::CreateTopic => {
                create_topic(first, self.brokers.len())?;
                Step::FindGroup
            }
            Step::FindGroup => {
                coordinator(first, 0)?;
                Step::FindTransaction
            }
            Step::FindTransaction => Step::Commit { coordinator: coordinator(first, 1)? },
            Step::Commit { coordinator } => {
                commit(coordinator)?;
                Step::DeleteTopic
            }
            Step::DeleteTopic => {
                delete_topic(first)?;
                Step::Done
            }
            Step::Done => Step::Done,
        })
    }

    /// Every broker must know every other: a client may be handed any of them.
    fn all_registered(&self) -> Result<()> {
        for address in &self.brokers {
            let seen = cluster(address)?;
            if usize::try_from(seen.brokers) != Ok(self.brokers.len()) || !seen.has_controller {
                bail!("{address} knows of {} broker(s)", seen.brokers);
            }
        }
        Ok(())
    }
}

fn none_but(code: i16, allowed: i16) -> Result<()> {
    if code != 0 && code != allowed {
        bail!("error code {code}");
    }
    Ok(())
}

/// CreateTopics, version 2.
fn create_topic(address: &str, replicas: usize) -> Result<()> {
    let request = Request::new(CREATE_TOPICS, 2).int32(1).string(TOPIC).int32(1);
    let request = request.int16(i16::try_from(replicas)?).int32(0).int32(0);
    let mut answer = request.int32(TIMEOUT_MS).int8(0).send(address)?;
    answer.int32()?; // throttle time
    answer.int32()?; // one topic
    answer.string()?;
    none_but(answer.int16()?, ALREADY_EXISTS)
}

/// DeleteTopics, version 1.
fn delete_topic(address: &str) -> Result<()> {
    let request = Request::new(DELETE_TOPICS, 1).int32(1).string(TOPIC).int32(TIMEOUT_MS);
    let mut answer = request.send(address)?;
    answer.int32()?; // throttle time
    answer.int32()?; // one topic
    answer.string()?;
    none_but(answer.int16()?, UNKNOWN_TOPIC)
}

/// FindCoordinator, version 1; kind 0 for a group, 1 for a transaction. Makes the internal topic.
fn coordinator(address: &str, kind: i8) -> Result<String> {
    let mut answer = Request::new(FIND_COORDINATOR, 1).string(NAME).int8(kind).send(address)?;
    answer.int32()?; // throttle time
    let code = answer.int16()?;
    none_but(code, 0).with_context(|| answer.string().unwrap_or_default())?;
    answer.string()?; // error message
    answer.int32()?; // id
    let host = answer.string()?;
    Ok(format!("{host}:{}", answer.int32()?))
}

/// InitProducerId, AddPartitionsToTxn and EndTxn, version 0 each: the markers are written although
/// no record was.
fn commit(coordinator: &str) -> Result<()> {
    let request = Request::new(INIT_PRODUCER_ID, 0).string(NAME).int32(60_000);
    let mut answer = request.send(coordinator)?;
    answer.int32()?; // throttle time
    none_but(answer.int16()?, 0).context("no producer id")?;
    let (producer, epoch) = (answer.int64()?, answer.int16()?);

    let request = Request::new(ADD_PARTITIONS, 0).string(NAME).int64(producer).int16(epoch);
    let request = request.int32(1).string(TOPIC).int32(1).int32(0);
    let mut answer = request.send(coordinator)?;
    answer.int32()?; // throttle time
    answer.int32()?; // one topic
    answer.string()?;
    answer.int32()?; // one partition
    answer.int32()?; // its number
    none_but(answer.int16()?, 0).context("the partition is not taken")?;

    let request = Request::new(END_TRANSACTION, 0).string(NAME).int64(producer).int16(epoch);
    let mut answer = request.int8(1).send(coordinator)?;
    answer.int32()?; // throttle time
    none_but(answer.int16()?, 0).context("the transaction does not commit")
}
