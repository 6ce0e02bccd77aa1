//! The id of a row's message: a function of batch and row, so that a row released twice would be one
//! message, and an event leads back to its row.

use schemas::ids::{MessageId, Timestamp};

/// What all ids of a batch begin with: its creation (48 bits of milliseconds) and 48 bits of its own id.
/// Two batches of one millisecond would have to agree in these to be mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Family([u8; 12]);

/// Rows of a batch at most: what is left of an id.
pub const MOST_ROWS: i64 = 1 << 32;

impl Family {
    /// Of the batch that was made at `created_at` under `batch` (a ULID's text; absent otherwise).
    #[must_use]
    pub fn of(created_at: Timestamp, batch: &str) -> Option<Self> {
        let own = batch.parse::<MessageId>().ok()?.to_bytes();
        let mut family = [0; 12];
        family[..6].copy_from_slice(&created_at.0.to_be_bytes()[2..]);
        // The last bytes: an id that is made of a moment begins alike for all of that moment.
        family[6..].copy_from_slice(&own[10..]);
        Some(Self(family))
    }

    /// The message of `row`, counted from 0, below [`MOST_ROWS`].
    #[must_use]
    pub fn message(self, row: i64) -> MessageId {
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(&self.0);
        bytes[12..].copy_from_slice(&row.to_be_bytes()[4..]);
        MessageId::from_bytes(bytes)
    }

    /// The reverse: which family a message would be of, and which row.
    #[must_use]
    pub fn and_row(id: MessageId) -> (Self, i64) {
        let bytes = id.to_bytes();
        let mut family = [0; 12];
        family.copy_from_slice(&bytes[..12]);
        let row = bytes[12..].iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        (Self(family), row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_leads_back_to_its_row_and_two_rows_never_share_one(
            at in 0_i64..1 << 48, batch in any::<u128>(), row in 0..MOST_ROWS, other in 0..MOST_ROWS
        ) {
            let batch = MessageId::from_bytes(batch.to_be_bytes()).to_string();
            let family = Family::of(Timestamp(at), &batch).unwrap();
            prop_assert_eq!(Family::and_row(family.message(row)), (family, row));
            prop_assert_eq!(family.message(row) == family.message(other), row == other);
        }
    }

    #[test]
    fn an_id_tells_when_its_batch_was_made() {
        let family =
            Family::of(Timestamp(1_700_000_000_123), "01HF7YAT3V0000000000000001").unwrap();
        let text = family.message(7).to_string();
        assert_eq!(text[..10], MessageId::from_parts(1_700_000_000_123, 0).to_string()[..10]);
    }
}
