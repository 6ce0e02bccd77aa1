//! Where an operator sits: one at a time, with a transaction for what is decided.

use std::collections::{BTreeMap, BTreeSet};

use runtime::dead;
use runtime::log::{AppendError, Log, LogError, Outgoing, Writer};
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::{DeadResolution, MessageStatus, Status};
use schemas::topics::{Lane, Topic};
use sealing::TransitKeys;

use super::again::{Refusal, Standing, again};
use super::filter::Filter;
use super::letters::{Letter, Letters, to_the_end};

/// The one writer of resolutions: a second desk that opens it fences the first.
const WRITER: &str = "redrive";

/// Why nothing more is decided here.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("nothing of this step was written, or somebody else redrives at this moment: {0}")]
    Append(#[from] AppendError),
}

/// What an operator wants done with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Again, with `mended` in place of its value if given.
    Resend { mended: Option<Vec<u8>> },
    /// The message begins anew, from its record in `message.accepted`.
    Restart,
    /// It stays FAILED.
    Drop,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Resend { mended: None } => "resent",
            Self::Resend { mended: Some(_) } => "mended",
            Self::Restart => "restarted",
            Self::Drop => "dropped",
        }
    }
}

/// An operator at work.
pub struct Desk<'a> {
    writer: Box<dyn Writer>,
    codec: &'a Codec,
    operator: String,
    pub letters: Letters,
}

impl<'a> Desk<'a> {
    /// Takes the seat, then reads. In this order: what another desk wrote before is seen, what it
    /// writes afterwards is refused by the log.
    ///
    /// # Errors
    /// The log's.
    pub fn open(
        log: &dyn Log,
        codec: &'a Codec,
        filter: &Filter,
        operator: String,
        now: Timestamp,
    ) -> Result<Self, DeskError> {
        let writer = log.writer(WRITER)?;
        let letters = Letters::read(log, codec, filter, now)?;
        Ok(Self { writer, codec, operator, letters })
    }

    /// Writes `decided` (what to send again, if anything, for each letter) with their resolutions as
    /// one transaction.
    ///
    /// # Errors
    /// `Append`: all or nothing; whether it was written shows at the next reading.
    pub fn settle(
        &mut self,
        decided: Vec<(Letter, &Verdict, Option<Outgoing>)>,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        let mut records = Vec::new();
        for (letter, verdict, record) in decided {
            records.extend(record);
            records.push(self.resolution(&letter, verdict, now));
        }
        self.writer.write(records)?;
        Ok(())
    }

    fn resolution(&self, letter: &Letter, verdict: &Verdict, now: Timestamp) -> Outgoing {
        let origin = letter.origin();
        let key = origin.to_string().into_bytes();
        let end = DeadResolution {
            topic: origin.topic,
            partition: origin.partition,
            offset: origin.offset,
            how: verdict.word().to_owned(),
            operator: self.operator.clone(),
            at: now,
        };
        Outgoing {
            topic: Topic::DeadResolution,
            partition_by: key.clone(),
            key,
            value: Some(self.codec.encode(&end)),
            headers: Headers { message_id: letter.record.message_id, ..Headers::default() },
        }
    }
}

/// Where the messages of some letters stand and, for a restart, how they began.
#[derive(Default)]
pub struct Backgrounds {
    standings: BTreeMap<MessageId, Standing>,
    /// With the topic that each lies in.
    beginnings: BTreeMap<MessageId, (Topic, dead::Original)>,
    /// Messages of which a letter goes out again: their standings are of before.
    again: BTreeSet<MessageId>,
}

/// Reads `message.status` once for all `letters`, and `message.accepted` if `verdict` begins anew.
///
/// # Errors
/// The log's.
pub fn standings(
    log: &dyn Log,
    codec: &Codec,
    letters: &[Letter],
    verdict: &Verdict,
) -> Result<Backgrounds, LogError> {
    let wanted: BTreeSet<_> = letters.iter().filter_map(|l| l.record.message_id).collect();
    let mut found = Backgrounds::default();
    if wanted.is_empty() || *verdict == Verdict::Drop {
        return Ok(found);
    }
    to_the_end(log, &[Topic::Status], |record| {
        let Some(value) = &record.value else { return };
        let Ok(event) = codec.decode::<MessageStatus>(value) else { return };
        if wanted.contains(&event.message_id) {
            let old = found.standings.get(&event.message_id).copied();
            found.standings.insert(event.message_id, advanced(old, &event));
        }
    })?;
    if *verdict == Verdict::Restart {
        to_the_end(log, &Lane::ALL.map(Topic::Accepted), |record| {
            let Some(id) = Headers::from_raw(&record.headers).message_id else { return };
            if wanted.contains(&id) {
                let original = dead::Original {
                    key: record.key,
                    value: record.value.unwrap_or_default(),
                    headers: record.headers,
                };
                let begun = (record.position.at.topic, original);
                found.beginnings.entry(id).or_insert(begun);
            }
        })?;
    }
    Ok(found)
}

fn advanced(old: Option<Standing>, event: &MessageStatus) -> Standing {
    let place = (event.epoch, event.sequence);
    let newer = old.is_none_or(|old| place > (old.epoch, old.sequence));
    let ranked = policy::status::rank(event.status).is_some();
    match old {
        Some(old) if !newer => old,
        Some(old) => Standing {
            epoch: event.epoch,
            sequence: event.sequence,
            status: if ranked { event.status } else { old.status },
        },
        None => {
            let status = if ranked { event.status } else { Status::Accepted };
            Standing { epoch: event.epoch, sequence: event.sequence, status }
        }
    }
}

impl Backgrounds {
    /// The record that carries out `verdict` for `letter`; nothing for a drop. One letter of a message
    /// only: a second would open the same epoch again.
    ///
    /// # Errors
    /// [`Refusal`]: the letter stays as it is.
    pub fn record(
        &mut self,
        letter: &Letter,
        verdict: &Verdict,
        transit: &TransitKeys,
        codec: &Codec,
    ) -> Result<Option<Outgoing>, Refusal> {
        let dead = &letter.record;
        let message = dead.message_id;
        let standing = message.and_then(|id| self.standings.get(&id).copied());
        if *verdict != Verdict::Drop && message.is_some_and(|id| self.again.contains(&id)) {
            return Err(Refusal::AnotherLetter);
        }
        let record = match verdict {
            Verdict::Drop => return Ok(None),
            Verdict::Resend { mended } => {
                let original = opened(letter, transit)?;
                again(&dead.topic, message, original, mended.clone(), standing, codec)?
            }
            Verdict::Restart => {
                let id = message.ok_or(Refusal::NoBeginning)?;
                let (topic, original) =
                    self.beginnings.get(&id).cloned().ok_or(Refusal::NoBeginning)?;
                again(topic.name(), Some(id), original, None, standing, codec)?
            }
        };
        self.again.extend(message);
        Ok(Some(record))
    }
}

/// The record of a letter as it was.
///
/// # Errors
/// `Sealed`, `Malformed`.
pub fn opened(letter: &Letter, transit: &TransitKeys) -> Result<dead::Original, Refusal> {
    let dead = &letter.record;
    let place = letter.origin().to_string();
    let bytes = transit.open_envelope(place.as_bytes(), &dead.wrapped_key.0, &dead.record.0)?;
    dead::original(&bytes).ok_or(Refusal::Malformed)
}
