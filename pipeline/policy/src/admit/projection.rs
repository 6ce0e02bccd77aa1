//! What a sender's client sees of a message's life: IO's vocabulary, never a value outside it.

use schemas::records::{MessageStatus, OutcomeKind, Status};
use schemas::topics::Channel;
use serde::{Deserialize, Serialize};

/// IO's message `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum IoStatus {
    Accepted,
    Failed,
    Processed,
    Rejected,
}

/// IO's `rejection_reason`; we return it beside `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RejectionReason {
    ServiceNotAllowed,
    UserNotFound,
}

/// IO's status of a notification channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChannelStatus {
    Sent,
    Throttled,
    Expired,
    Failed,
}

/// IO's `notification`: `webhook` is push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notification {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<ChannelStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<ChannelStatus>,
}

/// The projection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub status: IoStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<RejectionReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

/// Where a message stands, folded from its status events in order. Small enough to be kept per message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The last status that has a rank: never ATTEMPT or WAITING.
    pub status: Status,
    /// STORED has been seen: the message is in the inbox.
    pub stored: bool,
    pub push: Option<ChannelStatus>,
    pub email: Option<ChannelStatus>,
}

impl Default for Standing {
    /// A message is ACCEPTED until a status says otherwise.
    fn default() -> Self {
        Self { status: Status::Accepted, stored: false, push: None, email: None }
    }
}

impl Standing {
    /// Takes the next event of the message. Events come in sequence; older ones must not be given again.
    pub fn apply(&mut self, event: &MessageStatus) {
        match event.status {
            Status::Attempt => self.attempted(event),
            Status::Waiting => self.mark(event.channel, ChannelStatus::Throttled),
            Status::Notified => {
                self.status = Status::Notified;
                self.mark(event.channel, ChannelStatus::Sent);
                // The first acceptance ends all retries.
                self.close(ChannelStatus::Failed);
            }
            Status::Unnotified => {
                self.status = Status::Unnotified;
                self.close(ChannelStatus::Failed);
            }
            Status::Expired => {
                self.status = Status::Expired;
                self.close(ChannelStatus::Expired);
                // Nothing was tried: it is the push that ran out of time.
                if self.push.is_none() && self.email.is_none() {
                    self.push = Some(ChannelStatus::Expired);
                }
            }
            Status::Stored => {
                self.status = Status::Stored;
                self.stored = true;
            }
            Status::Accepted | Status::Rejected | Status::NotOnBoard | Status::Failed => {
                self.status = event.status;
            }
        }
    }

    /// What the sender sees.
    #[must_use]
    pub fn project(&self) -> Seen {
        let (status, rejection_reason) = match self.status {
            Status::Accepted | Status::Attempt | Status::Waiting => (IoStatus::Accepted, None),
            Status::Rejected => (IoStatus::Rejected, Some(RejectionReason::ServiceNotAllowed)),
            Status::NotOnBoard => (IoStatus::Rejected, Some(RejectionReason::UserNotFound)),
            // A fallback address took it: there is no inbox it could be in.
            Status::Notified | Status::Unnotified | Status::Expired if !self.stored => {
                (IoStatus::Rejected, Some(RejectionReason::UserNotFound))
            }
            Status::Stored | Status::Notified | Status::Unnotified | Status::Expired => {
                (IoStatus::Processed, None)
            }
            Status::Failed => (IoStatus::Failed, None),
        };
        let fallback_took_it = status == IoStatus::Rejected && self.status == Status::Notified;
        let shown = status == IoStatus::Processed || fallback_took_it;
        let channels = Notification { email: self.email, webhook: self.push };
        let notification = (shown && channels != Notification::default()).then_some(channels);
        Seen { status, rejection_reason, notification }
    }

    fn attempted(&mut self, event: &MessageStatus) {
        let Some(outcome) = event.outcome else { return };
        let status = match outcome {
            OutcomeKind::Accepted => ChannelStatus::Sent,
            OutcomeKind::AddressGone | OutcomeKind::Refused => ChannelStatus::Failed,
            OutcomeKind::Throttled
            | OutcomeKind::Unavailable
            | OutcomeKind::Misconfigured
            | OutcomeKind::Indeterminate
            | OutcomeKind::Other => ChannelStatus::Throttled,
        };
        self.mark(event.channel, status);
    }

    /// SENT is never taken back; one device that waits outweighs another that is gone.
    fn mark(&mut self, channel: Option<Channel>, status: ChannelStatus) {
        let slot = match channel {
            Some(Channel::Apns | Channel::Fcm) => &mut self.push,
            Some(Channel::Email) => &mut self.email,
            None => return,
        };
        let keeps = match slot {
            Some(ChannelStatus::Sent) => true,
            Some(ChannelStatus::Throttled) => status == ChannelStatus::Failed,
            Some(ChannelStatus::Failed | ChannelStatus::Expired) | None => false,
        };
        if !keeps {
            *slot = Some(status);
        }
    }

    fn close(&mut self, status: ChannelStatus) {
        for slot in [&mut self.push, &mut self.email] {
            if *slot == Some(ChannelStatus::Throttled) {
                *slot = Some(status);
            }
        }
    }
}
