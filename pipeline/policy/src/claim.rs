//! What becomes of a request under an `Idempotency-Key` that may have been used before.

use schemas::headers::Claim;
use schemas::ids::MessageId;

/// What is remembered under a claim's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Of the request that came first.
    pub request: [u8; 32],
    /// The id that its message got.
    pub id: MessageId,
    /// Whether its message has been seen in the log.
    pub is_in_log: bool,
}

/// What the sender is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// Ours now, under the offered id.
    New,
    /// Claimed before by the same request. A message that was not seen in the log must be appended,
    /// perhaps once more: under the same id, so that consent can end a copy.
    Same { id: MessageId, is_in_log: bool },
    /// Claimed before by another request.
    Other,
}

/// `held`: absent where nothing is remembered.
#[must_use]
pub fn judge(claim: &Claim, held: Option<Held>) -> Claimed {
    match held {
        None => Claimed::New,
        Some(held) if held.request == claim.request => {
            Claimed::Same { id: held.id, is_in_log: held.is_in_log }
        }
        Some(_) => Claimed::Other,
    }
}

/// Whether a record is a copy of a message whose first record lies elsewhere. Only a record behind the
/// first is one: the first itself comes again after a crash.
#[must_use]
pub fn is_copy<Place: PartialEq>(
    id: MessageId,
    here: Place,
    first: Option<(MessageId, Place)>,
) -> bool {
    first.is_some_and(|(first_id, place)| first_id == id && place != here)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim { name: [1; 32], request: [2; 32] };

    fn held(request: u8, is_in_log: bool) -> Option<Held> {
        Some(Held { request: [request; 32], id: MessageId::from_parts(1, 1), is_in_log })
    }

    #[test]
    fn the_first_request_under_a_key_decides() {
        let id = MessageId::from_parts(1, 1);
        assert_eq!(judge(&CLAIM, None), Claimed::New);
        assert_eq!(judge(&CLAIM, held(2, false)), Claimed::Same { id, is_in_log: false });
        assert_eq!(judge(&CLAIM, held(2, true)), Claimed::Same { id, is_in_log: true });
        assert_eq!(judge(&CLAIM, held(3, true)), Claimed::Other);
    }

    #[test]
    fn only_another_record_of_the_same_message_is_a_copy() {
        let (mine, other) = (MessageId::from_parts(1, 1), MessageId::from_parts(1, 2));
        assert!(!is_copy(mine, 5, None));
        assert!(!is_copy(mine, 5, Some((mine, 5))), "the first itself, once more");
        assert!(is_copy(mine, 5, Some((mine, 4))));
        assert!(!is_copy(mine, 5, Some((other, 4))), "another message must not vanish");
    }
}
