//! From a story to the letters that serve its due addresses: the only place where a token, a mailbox
//! or a notice stands in clear, for as long as the send takes.

use policy::consent::{Consent, Permission};
use policy::next_step::is_due;
use schemas::content::{Content, Notice};
use schemas::ids::Timestamp;
use schemas::records::{NoticeType, Reason, Story};
use schemas::topics::Channel;
use sealing::{CitizenKey, Field, MessageKey, Part, SealError};

use super::port::{Letter, Words};
use crate::directory::Found;
use crate::keys::{self, Keys};

/// Why no letters could be written.
pub(super) enum Trouble {
    /// Ours: wait.
    Fault(Reason),
    /// The record's.
    Dead(Reason),
}

impl From<SealError> for Trouble {
    fn from(error: SealError) -> Self {
        let why = keys::reason(error);
        if error.is_ours() { Self::Fault(why) } else { Self::Dead(why) }
    }
}

/// One letter for each untried or due address of `channel` that today's consent leaves.
pub(super) fn letters(
    story: &Story,
    channel: Channel,
    found: &Found,
    consent: &Consent,
    keys: &Keys,
    now: Timestamp,
) -> Result<Vec<Letter>, Trouble> {
    let message_key = keys.transit.read().unwrap(story.message_id, &story.wrapped_key.0)?;
    let Some(generation) = story.generation else {
        return fallback(story, &message_key).map(|letter| vec![letter]);
    };
    let Consent::Permitted(permission) = consent else { return Ok(Vec::new()) };
    let record = found.key.as_ref().filter(|key| key.generation == generation);
    let citizen_key = keys.citizen(record.ok_or(Trouble::Fault(Reason::ViewNotReady))?)?;
    let mut letters = Vec::new();
    let here = story.targets.iter().filter(|target| target.channel == channel);
    let due = here.filter(|target| is_due(story, target, now));
    for target in due.filter(|target| permission.allows(channel, &target.installation)) {
        let Some(address) = address(&target.installation, channel, found, &citizen_key)? else {
            continue;
        };
        let words = words(story, channel, permission, &message_key)?;
        letters.push(letter(story, &target.installation, address, &permission.language, words));
    }
    Ok(letters)
}

fn letter(
    story: &Story,
    installation: &str,
    address: String,
    language: &str,
    words: Words,
) -> Letter {
    Letter {
        message_id: story.message_id,
        service_id: story.service_id.clone(),
        citizen: story.citizen,
        installation: installation.to_owned(),
        address,
        language: language.to_owned(),
        words,
        deadline: story.deadline,
    }
}

fn address(
    installation: &str,
    channel: Channel,
    found: &Found,
    key: &CitizenKey,
) -> Result<Option<String>, Trouble> {
    if channel == Channel::Email {
        let email = found.citizen.profile.as_ref().and_then(|profile| profile.email.as_ref());
        return Ok(email.map(|email| key.open_field(Field::EmailAddress, &email.0)).transpose()?);
    }
    let device = found.tokens.iter().find(|device| device.installation == installation);
    let opened =
        device.map(|device| key.open_field(Field::DeviceToken { installation }, &device.token.0));
    Ok(opened.transpose()?)
}

/// An email to somebody on board is always generic; a push says the subject only where the citizen,
/// the service and the message all allow it now.
fn words(
    story: &Story,
    channel: Channel,
    permission: &Permission,
    key: &MessageKey,
) -> Result<Words, Trouble> {
    match (channel, permission.notice_type) {
        (Channel::Apns | Channel::Fcm, NoticeType::Full) => {
            let plain = key.open(Part::Notice, story.message_id, &story.notice.0)?;
            let notice: Notice =
                serde_json::from_slice(&plain).map_err(|_| Trouble::Dead(Reason::Undecodable))?;
            Ok(Words::Full(notice))
        }
        (Channel::Apns | Channel::Fcm, NoticeType::Anonymous) | (Channel::Email, _) => {
            Ok(Words::Anonymous)
        }
    }
}

fn fallback(story: &Story, key: &MessageKey) -> Result<Letter, Trouble> {
    let dead = || Trouble::Dead(Reason::Undecodable);
    let sealed = story.content.as_ref().ok_or_else(dead)?;
    let plain = key.open(Part::Content, story.message_id, &sealed.content.0)?;
    let content: Content = serde_json::from_slice(&plain).map_err(|_| dead())?;
    let address = content.fallback_email.clone().ok_or_else(dead)?;
    Ok(letter(story, "", address, &story.language, Words::Message(Box::new(content))))
}
