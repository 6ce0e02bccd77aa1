//! The truth about a run, read from the log itself after everything has ended: what became of every
//! message, and when each step was written.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::Result;
use runtime::log::{Incoming, Log};
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::ids::MessageId;
use schemas::records::{MessageStatus, Status};
use schemas::topics::{Channel, Lane, Topic};

use super::load::{Answer, Sent};
use super::subscriber::Seen;
use crate::figures::{Figures, Times};
use crate::logs::read_all;
use crate::meter::count;

/// What the log holds about one message; times since the Unix epoch.
#[derive(Debug, Clone, Default)]
struct Life {
    accepted: Option<Duration>,
    consent: Option<Duration>,
    vault: Option<Duration>,
    end: Option<Duration>,
    finals: u32,
    notified: bool,
    /// Sequence numbers, as a sum and a count: both tell a gap or a repeat.
    sequences: (i64, i64),
}

/// What a record of a topic says about its message.
#[derive(Debug, Clone, Copy)]
enum Step {
    Accepted,
    /// Consent has written it.
    Consent,
    /// The vault has written it.
    Vault,
    Status,
    /// Nothing but that it is there.
    Beside,
}

/// All messages of a run.
#[derive(Default)]
pub struct Books {
    lives: HashMap<MessageId, Life>,
    /// Records and bytes of values, of the topics on a message's way.
    records: usize,
    accepted: usize,
    accepted_bytes: usize,
}

/// What was lost or doubled. All zero, or there is no speed to speak of.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Losses {
    /// Never left the sender: its connections were gone.
    pub unsent: usize,
    /// Answered by something else than 201: how many, by status.
    pub refused: BTreeMap<u16, usize>,
    /// No answer: taken or not, nobody knows.
    pub unanswered: usize,
    /// 201, and no final status.
    pub without_end: usize,
    /// 201, and two final statuses or more.
    pub doubled: usize,
    /// One final status, which is not NOTIFIED.
    pub not_notified: usize,
    /// A gap or a repeat in the sequence.
    pub broken_sequence: usize,
    /// Messages in the log that nobody was told of.
    pub unknown: usize,
}

impl Losses {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Books {
    /// Reads every topic on a message's way, in both lanes.
    ///
    /// # Errors
    /// The log's.
    pub fn read(log: &dyn Log) -> Result<Self> {
        let mut topics = vec![
            (Topic::Status, Step::Status),
            (Topic::Decision, Step::Beside),
            (Topic::Stored, Step::Beside),
        ];
        for lane in Lane::ALL {
            topics.push((Topic::Accepted(lane), Step::Accepted));
            topics.push((Topic::Permitted(lane), Step::Consent));
            topics.extend(Channel::ALL.map(|channel| (Topic::Attempt(channel, lane), Step::Vault)));
        }
        let (mut books, codec) = (Self::default(), Codec::default());
        for (topic, step) in topics {
            read_all(log, topic, |record| books.note(step, &record, &codec))?;
        }
        Ok(books)
    }

    fn note(&mut self, step: Step, record: &Incoming, codec: &Codec) {
        self.records += 1;
        let headers = Headers::from_raw(&record.headers);
        let Some(id) = headers.message_id else { return };
        let at = millis(record.appended_at.0);
        let life = self.lives.entry(id).or_default();
        let value = record.value.as_deref().unwrap_or_default();
        match step {
            Step::Accepted => {
                life.accepted = headers.accepted_at.map(|at| millis(at.0));
                self.accepted += 1;
                self.accepted_bytes += value.len();
            }
            Step::Consent => life.consent = Some(at),
            Step::Vault => life.vault = Some(at),
            Step::Status => {
                let Ok(event) = codec.decode::<MessageStatus>(value) else { return };
                life.sequences.0 += i64::from(event.sequence);
                life.sequences.1 += 1;
                if event.status.is_final() {
                    life.finals += 1;
                    life.notified = event.status == Status::Notified;
                    life.end = Some(at);
                }
            }
            Step::Beside => {}
        }
    }

    /// What is wrong with the messages that were to be sent.
    #[must_use]
    pub fn losses(&self, wanted: usize, sent: &[&Sent]) -> Losses {
        let mut losses = Losses { unsent: wanted.saturating_sub(sent.len()), ..Losses::default() };
        let mut taken = 0;
        for one in sent {
            let id = match one.answer {
                Answer::Taken(id) => id,
                Answer::Refused(status) => {
                    *losses.refused.entry(status).or_default() += 1;
                    continue;
                }
                Answer::None => {
                    losses.unanswered += 1;
                    continue;
                }
            };
            let life = self.lives.get(&id);
            taken += usize::from(life.is_some());
            match life.map_or(0, |life| life.finals) {
                0 => losses.without_end += 1,
                1 => {}
                _ => losses.doubled += 1,
            }
            let Some(life) = life else { continue };
            losses.not_notified += usize::from(life.finals == 1 && !life.notified);
            let (sum, events) = life.sequences;
            losses.broken_sequence += usize::from(sum != events * (events - 1) / 2);
        }
        losses.unknown = self.lives.len().saturating_sub(taken);
        losses
    }

    /// Records that the log took for each message, and the bytes of the first of them.
    pub fn put_sizes(&self, figures: &mut Figures) {
        figures.put("log.records_a_message", count(self.records) / count(self.accepted.max(1)));
        figures.put("log.accepted_bytes", count(self.accepted_bytes) / count(self.accepted.max(1)));
    }

    /// The throughput of a phase: from the first message's start to the last one's end.
    pub fn put_rate(&self, figures: &mut Figures, phase: &str, sent: &[Sent]) {
        let ids = || sent.iter().filter_map(taken);
        let ends = ids().filter_map(|id| self.lives.get(&id)?.end);
        let (first, last) = (sent.iter().map(|one| one.due).min(), ends.max());
        if let (Some(first), Some(last)) = (first, last) {
            let took = last.saturating_sub(first).as_secs_f64().max(1e-9);
            figures.put(&format!("{phase}.messages_per_second"), count(ids().count()) / took);
        }
        let answered = sent.iter().map(|one| one.due + one.took).max();
        if let (Some(first), Some(answered)) = (first, answered) {
            let took = answered.saturating_sub(first).as_secs_f64().max(1e-9);
            figures.put(&format!("{phase}.accepted_per_second"), count(sent.len()) / took);
        }
    }

    /// The times of a phase: the door's answer, each stage since acceptance, the whole way since the
    /// message was due.
    pub fn put_times(&self, figures: &mut Figures, phase: &str, sent: &[Sent], seen: &Seen) {
        let names = ["answer", "consent", "vault", "channel", "way", "seen"];
        let mut times: [Times; 6] = Default::default();
        for one in sent {
            let Some(id) = taken(one) else { continue };
            times[0].add(one.took);
            let Some(life) = self.lives.get(&id) else { continue };
            let steps = [life.consent, life.vault, life.end];
            for (step, times) in steps.into_iter().zip(&mut times[1..4]) {
                if let (Some(step), Some(accepted)) = (step, life.accepted) {
                    times.add(step.saturating_sub(accepted));
                }
            }
            if let Some(end) = life.end {
                times[4].add(end.saturating_sub(one.due));
            }
            if let Some(at) = seen.get(&id) {
                times[5].add(at.saturating_sub(one.due));
            }
        }
        for (name, times) in names.into_iter().zip(&times) {
            times.put(figures, phase, name);
        }
    }
}

fn taken(sent: &Sent) -> Option<MessageId> {
    match sent.answer {
        Answer::Taken(id) => Some(id),
        Answer::Refused(_) | Answer::None => None,
    }
}

fn millis(at: i64) -> Duration {
    Duration::from_millis(u64::try_from(at).unwrap_or(0))
}
