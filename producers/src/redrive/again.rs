//! The record that a letter is sent again as: pure.

use runtime::dead::Original;
use runtime::log::Outgoing;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::ids::MessageId;
use schemas::records::{MailboxValidation, MessageAccepted, MessagePermitted, Status, Story};
use schemas::topics::{Channel, Topic};
use sealing::SealError;

/// Where a message stands: its newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub epoch: i32,
    pub sequence: i32,
    /// The newest status with a rank.
    pub status: Status,
}

/// Why a letter is not sent again. Nothing is written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("its seal does not open: {0}")]
    Sealed(#[from] SealError),
    #[error("what was sealed is no record: the letter was written by another version")]
    Malformed,
    #[error("no stage reads {0}: drop it, or mend the record where it is written")]
    NotOurs(String),
    #[error(
        "this version cannot read the record ({0}): give a mended one with --value, or begin the \
         message anew with --restart"
    )]
    Undecodable(DecodeError),
    #[error("the mended record belongs to another message")]
    OtherMessage,
    #[error("the message stands at {}, not at FAILED: there is nothing to redrive", .0.name())]
    NotFailed(Status),
    #[error(
        "another letter of this message goes out in this run: see what becomes of the message, then \
         decide this one"
    )]
    AnotherLetter,
    #[error("message.accepted no longer holds the message: it is older than the topic keeps")]
    NoBeginning,
}

/// The record in a new epoch, for the topic that it came from. `mended` replaces its value.
///
/// A letter whose headers named no message left no status behind; it goes out as it was.
///
/// # Errors
/// [`Refusal`]: the letter stays as it is.
pub fn again(
    topic: &str,
    message: Option<MessageId>,
    original: Original,
    mended: Option<Vec<u8>>,
    standing: Option<Standing>,
    codec: &Codec,
) -> Result<Outgoing, Refusal> {
    let topic = Topic::named(topic).ok_or_else(|| Refusal::NotOurs(topic.to_owned()))?;
    if let Some(Standing { status, .. }) = standing
        && status != Status::Failed
    {
        return Err(Refusal::NotFailed(status));
    }
    let value = mended.unwrap_or(original.value);
    let mut headers = Headers { cause: None, ..Headers::from_raw(&original.headers) };
    if let Some(standing) = standing {
        headers.epoch = Some(standing.epoch + 1);
        headers.next_sequence = Some(standing.sequence + 1);
    }
    let (found, value) = renumbered(topic, value, standing, codec)?;
    let topic = if finds_back(topic, &headers) { topic } else { next_reader(topic, &value, codec) };
    if message.is_some_and(|expected| expected != found) {
        return Err(Refusal::OtherMessage);
    }
    headers.message_id = Some(found);
    headers.ce_id = headers.ce_id.map(|id| format!("{id}-r{}", headers.epoch.unwrap_or(0)));
    let key = original.key;
    Ok(Outgoing { topic, partition_by: key.clone(), key, value: Some(value), headers })
}

/// Whose record it is, and its bytes with the new epoch where they carry one.
fn renumbered(
    topic: Topic,
    value: Vec<u8>,
    standing: Option<Standing>,
    codec: &Codec,
) -> Result<(MessageId, Vec<u8>), Refusal> {
    match topic {
        Topic::Accepted(_) => {
            let record: MessageAccepted = codec.decode(&value).map_err(Refusal::Undecodable)?;
            Ok((record.message_id, value))
        }
        Topic::Permitted(_) => {
            let record: MessagePermitted = codec.decode(&value).map_err(Refusal::Undecodable)?;
            Ok((record.accepted.message_id, value))
        }
        Topic::Delay(..) if codec.decode::<MailboxValidation>(&value).is_ok() => {
            renumbered(Topic::Validation, value, standing, codec)
        }
        Topic::Attempt(..) | Topic::Delay(..) => {
            let mut story: Story = codec.decode(&value).map_err(Refusal::Undecodable)?;
            let Some(standing) = standing else { return Ok((story.message_id, value)) };
            story.epoch = standing.epoch + 1;
            story.next_sequence = standing.sequence + 1;
            story.finished = false;
            Ok((story.message_id, codec.encode(&story)))
        }
        Topic::Validation => {
            let record: MailboxValidation = codec.decode(&value).map_err(Refusal::Undecodable)?;
            Ok((record.id, value))
        }
        Topic::Status
        | Topic::Decision
        | Topic::Stored
        | Topic::Profile
        | Topic::CitizenKey
        | Topic::Preference
        | Topic::Activation
        | Topic::Unsubscribe
        | Topic::Device
        | Topic::DeviceDeath
        | Topic::Erased
        | Topic::Service
        | Topic::TransitKey
        | Topic::DeadLetter
        | Topic::DeadResolution
        | Topic::BatchCommand
        | Topic::BatchState
        | Topic::BatchChunk => Err(Refusal::NotOurs(topic.name().to_owned())),
    }
}

/// False for a record that waits and does not say, or not so that anybody understands, where it returns.
fn finds_back(topic: Topic, headers: &Headers) -> bool {
    let back = || headers.return_to.as_deref().and_then(Topic::named);
    !matches!(topic, Topic::Delay(..)) || back().is_some()
}

/// Where a record that waited goes at once. Whichever edge reads a story asks what comes next and hands
/// it on, so that the first address is as good as any.
fn next_reader(waited_in: Topic, value: &[u8], codec: &Codec) -> Topic {
    match codec.decode::<Story>(value) {
        Ok(story) => {
            let channel = story.targets.first().map_or(Channel::Email, |it| it.channel);
            Topic::Attempt(channel, runtime::delay::lane_of(waited_in))
        }
        Err(_) => Topic::Validation,
    }
}
