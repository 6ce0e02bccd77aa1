//! Follows `message.status` as a subscriber would and keeps every event.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime::log::Start;
use schemas::ids::MessageId;
use schemas::records::MessageStatus;
use schemas::topics::Topic;

use super::send::{Sent, bar};
use crate::plant::Site;

/// Events by message, in the order in which they were read.
pub type Events = HashMap<MessageId, Vec<MessageStatus>>;

/// A reader on a thread of its own.
pub struct Collector(Arc<Mutex<Events>>);

impl Collector {
    /// Begins at the end of what is there.
    ///
    /// # Errors
    /// The log's.
    pub fn start(site: &Arc<Site>) -> anyhow::Result<Self> {
        let mut reader = site.log.reader(&[Topic::Status], &Start::Beginning)?;
        let events = Arc::new(Mutex::new(Events::new()));
        let (kept, site) = (Arc::clone(&events), Arc::clone(site));
        std::thread::Builder::new().name("collect".to_owned()).spawn(move || {
            while !site.stop.load(Ordering::Relaxed) {
                let Ok(read) = reader.poll(1_000, Duration::from_millis(100)) else { continue };
                let mut events = kept.lock();
                for record in read.records {
                    let value = record.value.as_deref().unwrap_or_default();
                    if let Ok(event) = site.world.codec.decode::<MessageStatus>(value) {
                        events.entry(event.message_id).or_default().push(event);
                    }
                }
            }
        })?;
        Ok(Self(events))
    }

    fn finals(&self, sent: &Sent) -> usize {
        let events = self.0.lock();
        let is_final = |id: &&MessageId| {
            events.get(*id).is_some_and(|list| list.iter().any(|event| event.status.is_final()))
        };
        sent.accepted.keys().filter(is_final).count()
    }
}

/// Waits until every accepted message has its final status, as long as anything still moves.
pub async fn wait(collector: &Collector, sent: &Sent, time_scale: f64) -> Events {
    let bar = bar(sent.accepted.len(), "settling");
    // The longest silence that a pending retry may cause: the largest delay class, scaled, and slack.
    let patience = Duration::from_secs_f64(1_200.0 / time_scale + 20.0);
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let finals = collector.finals(sent);
        bar.set_position(u64::try_from(finals).unwrap_or(0));
        if finals > last {
            (last, since) = (finals, Instant::now());
        }
        if finals == sent.accepted.len() || since.elapsed() > patience {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Second devices may still be rung after the final status.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    bar.finish_and_clear();
    collector.0.lock().clone()
}
