//! Days of the object store that are over: first the records that lead there, then the day.

use consumers::vault::Store;
use policy::retention::{day_of, is_over};
use runtime::log::{Outgoing, Writer};
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::MessageStored;
use schemas::topics::Topic;
use tokio::runtime::Handle;

use super::metrics::Item;
use super::{Housekeeping, every_record, partitions};

/// Tombstones of one transaction.
const TOMBSTONES: usize = 1_000;

impl Housekeeping {
    /// Ends the stored messages of days that are over, then removes the days. The order lets a crash be
    /// repeated: as long as the day is there, so is the reason to look for its messages. While there is no
    /// such day nothing is read. Several processes may do it at once: a second tombstone says the same.
    pub(super) fn end_days(&self, objects: &Store, runtime: &Handle) -> anyhow::Result<()> {
        let now = self.world.now();
        let days = runtime.block_on(objects.days())?;
        let over: Vec<i64> =
            days.into_iter().filter(|day| is_over(*day, self.pace.margin, now)).collect();
        if over.is_empty() {
            return Ok(());
        }
        let ended = self.end_messages(now)?;
        self.metrics.count(Item::StoredMessage, ended);
        for day in &over {
            runtime.block_on(objects.remove_day(*day))?;
            self.metrics.count(Item::Day, 1);
        }
        tracing::info!(days = over.len(), messages = ended, "days of the object store have gone");
        Ok(())
    }

    /// Nobody writes a message's record again once it is stored: a tombstone meets no newer one.
    fn end_messages(&self, now: Timestamp) -> anyhow::Result<usize> {
        let mut writer = self.log.writer("housekeeping")?;
        let (mut batch, mut ended) = (Vec::new(), 0);
        for at in partitions(self.log.as_ref(), Topic::Stored)? {
            every_record(self.log.as_ref(), at, &self.stop, &mut |record| {
                let Some(value) = &record.value else { return Ok(()) };
                // What cannot be read names no day; the directory has told operators already.
                let stored = self.world.codec.decode::<MessageStored>(value).ok();
                let is_over =
                    |it: &MessageStored| is_over(day_of(it.kept_until), self.pace.margin, now);
                if let Some(it) = stored.filter(is_over) {
                    ended += 1;
                    batch.push(tombstone(&it));
                }
                if batch.len() >= TOMBSTONES { flush(&mut batch, &mut *writer) } else { Ok(()) }
            })?;
        }
        flush(&mut batch, &mut *writer)?;
        Ok(ended)
    }
}

fn flush(batch: &mut Vec<Outgoing>, writer: &mut dyn Writer) -> anyhow::Result<()> {
    if !batch.is_empty() {
        writer.write(std::mem::take(batch))?;
    }
    Ok(())
}

fn tombstone(stored: &MessageStored) -> Outgoing {
    Outgoing {
        topic: Topic::Stored,
        key: stored.message_id.to_string().into_bytes(),
        partition_by: stored.citizen.to_string().into_bytes(),
        value: None,
        headers: Headers { message_id: Some(stored.message_id), ..Headers::default() },
    }
}
