//! From an admitted message to the sealed record: after this nothing readable remains.

use std::sync::Arc;

use parking_lot::RwLock;
use policy::admit::Admitted;
use policy::admit::service::{Category, Service};
use policy::contract::date;
use runtime::world::World;
use schemas::content::{Content, Notice};
use schemas::ids::{MessageId, Pseudonym, Timestamp};
use schemas::records::{MessageAccepted, Sealed, SealedContent};
use sealing::{Entropy, KeyUse, Keyring, MessageKey, Part, SealError, TransitKeys};

/// Keys of the accept path.
pub struct Sealer {
    pub keyring: Arc<Keyring>,
    /// Those read back from `key.transit`; replaced as a whole.
    pub transit: Arc<RwLock<TransitKeys>>,
}

/// Why a message could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsealed {
    /// Ours, for now: no transit key, no library. Nothing was taken.
    Wait,
    /// Ours, for good: a content that cannot be written or is too large for a seal.
    Broken,
}

struct Chance<'a>(&'a World);

impl Entropy for Chance<'_> {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

impl Sealer {
    /// The citizen's pseudonym.
    pub fn pseudonym_of(&self, code: &policy::contract::FiscalCode) -> Pseudonym {
        // Both types hold the same pattern; a difference would be a mistake in one of them.
        let code: sealing::FiscalCode =
            code.as_str().parse().expect("both crates must take the same fiscal codes");
        self.keyring.pepper().pseudonym(&code)
    }

    /// The record of `admitted`, accepted at `now` under `id`.
    ///
    /// # Errors
    /// [`Unsealed`], always ours.
    pub fn seal(
        &self,
        admitted: &Admitted,
        service: &Service,
        id: MessageId,
        now: Timestamp,
        world: &World,
    ) -> Result<MessageAccepted, Unsealed> {
        let content = serde_json::to_value(&admitted.content).map_err(|_| Unsealed::Broken)?;
        let content = Content {
            fiscal_code: admitted.recipient.as_str().to_owned(),
            created_at: date::format(now),
            time_to_live: i64::from(admitted.time_to_live),
            feature_level_type: admitted.feature_level.as_str().to_owned(),
            content,
            fallback_email: admitted.fallback_email.clone(),
            organisation: service.organisation.name.clone(),
            service: service.name.clone(),
        };
        let notice = Notice {
            organisation: service.organisation.name.clone(),
            service: service.name.clone(),
            subject: admitted.content.subject.clone(),
        };
        let content = serde_json::to_vec(&content).map_err(|_| Unsealed::Broken)?;
        let notice = serde_json::to_vec(&notice).map_err(|_| Unsealed::Broken)?;
        let entropy = Chance(world);
        let key = MessageKey::draw(&entropy);
        let seal = |part, plain: &[u8]| key.seal(&entropy, part, id, plain).map_err(unsealed);
        let wrapped = self.transit.read().wrap(&entropy, KeyUse::Wire, now, id, &key);
        let time_to_live = std::time::Duration::from_secs(u64::from(admitted.time_to_live));
        Ok(MessageAccepted {
            message_id: id,
            service_id: service.service_id.clone(),
            citizen: admitted.citizen,
            lane: service.lane,
            batch: None,
            accepted_at: now,
            expires_at: now.plus(world.scaled(time_to_live)),
            special: service.category == Category::Special,
            secure_channels: !admitted.channels.email_allowed,
            full_notice: admitted.channels.full_notice,
            fallback_email: admitted.fallback_email.is_some(),
            sealed: SealedContent {
                wrapped_key: Sealed(wrapped.map_err(unsealed)?.to_vec()),
                content: Sealed(seal(Part::Content, &content)?),
            },
            notice: Sealed(seal(Part::Notice, &notice)?),
        })
    }
}

fn unsealed(error: SealError) -> Unsealed {
    match error {
        SealError::NoCurrentKey(_) | SealError::UnknownKey(_) | SealError::Unavailable => {
            Unsealed::Wait
        }
        SealError::TooShort
        | SealError::Tampered
        | SealError::TooLarge { .. }
        | SealError::BadForm
        | SealError::DestroyedKey(_) => Unsealed::Broken,
    }
}
