//! The letters that wait for an operator, read from the log.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use runtime::log::{Incoming, Log, LogError, Start, read_to_end};
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::{ServiceId, Timestamp};
use schemas::records::{DeadLetter, DeadResolution};
use schemas::topics::Topic;

use super::filter::Filter;

/// Where a letter's record lay: `topic/partition/offset`. It names the letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
            Some(Self { topic: topic.to_owned(), partition, offset })
        };
        read().ok_or_else(|| format!("{text:?} names no letter: give topic/partition/offset"))
    }
}

/// A record set aside, still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub record: DeadLetter,
    /// From the record's headers, if they said.
    pub service: Option<ServiceId>,
}

impl Letter {
    #[must_use]
    pub fn origin(&self) -> Origin {
        let record = &self.record;
        Origin { topic: record.topic.clone(), partition: record.partition, offset: record.offset }
    }
}

/// A letter that an operator has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub letter: Letter,
    pub resolution: DeadResolution,
}

/// The letters that a filter names, oldest first.
#[derive(Debug, Default)]
pub struct Letters {
    pub open: Vec<Letter>,
    pub resolved: Vec<Resolved>,
    /// Records of `dead.letter` or `dead.resolution` that this version cannot read.
    pub unreadable: usize,
}

impl Letters {
    /// Reads both topics to their ends. Keeps what matches, sealed bytes included: an operator who
    /// expects millions names a filter.
    ///
    /// # Errors
    /// The log's.
    pub fn read(
        log: &dyn Log,
        codec: &Codec,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        let mut letters = Self::default();
        let mut ends: BTreeMap<Origin, DeadResolution> = BTreeMap::new();
        to_the_end(log, &[Topic::DeadResolution], |record| {
            let Some(value) = &record.value else { return };
            match codec.decode::<DeadResolution>(value) {
                Ok(end) => {
                    let origin = Origin {
                        topic: end.topic.clone(),
                        partition: end.partition,
                        offset: end.offset,
                    };
                    ends.insert(origin, end);
                }
                Err(_) => letters.unreadable += 1,
            }
        })?;
        let mut found = Vec::new();
        to_the_end(log, &[Topic::DeadLetter], |record| {
            let Some(value) = &record.value else { return };
            match codec.decode::<DeadLetter>(value) {
                Ok(decoded) => {
                    let service = Headers::from_raw(&record.headers).service_id;
                    let letter = Letter { record: decoded, service };
                    if filter.matches(&letter, now) {
                        found.push(letter);
                    }
                }
                Err(_) => letters.unreadable += 1,
            }
        })?;
        found.sort_by_key(|letter| (letter.record.at, letter.origin()));
        for letter in found {
            match ends.remove(&letter.origin()) {
                Some(resolution) => letters.resolved.push(Resolved { letter, resolution }),
                None => letters.open.push(letter),
            }
        }
        Ok(letters)
    }
}

/// Reads every partition of `topics` once to its end.
pub(super) fn to_the_end(
    log: &dyn Log,
    topics: &[Topic],
    visit: impl FnMut(Incoming),
) -> Result<(), LogError> {
    let mut partitions: u32 = 0;
    for topic in topics {
        partitions = partitions.saturating_add(log.partitions(*topic)?);
    }
    read_to_end(log.reader(topics, &Start::Beginning)?.as_mut(), partitions, visit)
}
