//! The embedded log, opened after its process has ended. The format on disk is its own, so it is
//! read through `runtime`: the one thing that this crate takes from there.

use std::path::PathBuf;

use anyhow::Result;
use runtime::embedded::{EmbeddedLog, Settings};
use runtime::log::{Log, Start, read_to_end};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::topics::Topic;

use super::Source;
use crate::records::Raw;

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
        let mut read = Vec::new();
        read_to_end(reader.as_mut(), log.partitions(topic)?, |record| {
            read.push(Raw {
                partition: record.position.at.partition,
                offset: record.position.offset,
                value: record.value.unwrap_or_default(),
            });
        })?;
        read.sort_by_key(|raw| (raw.partition, raw.offset));
        Ok(read)
    }
}
