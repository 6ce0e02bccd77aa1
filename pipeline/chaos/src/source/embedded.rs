//! The embedded log, opened after its process has ended. The format on disk is its own, so it is
//! read through `runtime`: the one thing that this crate takes from there.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use runtime::embedded::{EmbeddedLog, Settings};
use runtime::log::{Log, Start};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::topics::Topic;

use super::Source;
use crate::records::Raw;

const AT_A_TIME: usize = 10_000;
const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct EmbeddedSource {
    pub folder: PathBuf,
    pub handle: tokio::runtime::Handle,
}

impl Source for EmbeddedSource {
    fn read(&self, topic: Topic) -> Result<Vec<Raw>> {
        let world = World::real(self.handle.clone(), Codec::default(), 1.0);
        let settings = Settings { partitions: 0, ..Settings::default() };
        let log = EmbeddedLog::open(&self.folder, world, settings)?;
        let mut reader = log.reader(&[topic], &Start::Beginning)?;
        let partitions = usize::try_from(log.partitions(topic)?)?;
        let mut ended = HashSet::new();
        let mut read = Vec::new();
        while ended.len() < partitions {
            let polled = reader.poll(AT_A_TIME, WAIT)?;
            ended.extend(polled.ended.iter().map(|(at, _)| at.partition));
            read.extend(polled.records.into_iter().map(|record| Raw {
                partition: record.position.at.partition,
                offset: record.position.offset,
                value: record.value.unwrap_or_default(),
            }));
        }
        read.sort_by_key(|raw| (raw.partition, raw.offset));
        Ok(read)
    }
}
