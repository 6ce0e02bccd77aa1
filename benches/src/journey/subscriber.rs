//! On Kafka a subscriber follows `message.status` beside the run and notes when it can read each final
//! status. The embedded log lets nobody but its own process read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use runtime::log::{Log, Start};
use schemas::codec::Codec;
use schemas::ids::MessageId;
use schemas::records::MessageStatus;
use schemas::topics::Topic;

/// When each final status could be read, since the Unix epoch.
pub type Seen = HashMap<MessageId, Duration>;

/// A reader on a thread of its own.
pub struct Subscriber {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Subscriber {
    /// Begins with what is written from now on.
    ///
    /// # Errors
    /// The log's.
    pub fn start(log: &dyn Log) -> Result<Self> {
        let mut reader = log.reader(&[Topic::Status], &Start::End)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let follow = move || {
            let (mut seen, codec) = (Seen::new(), Codec::default());
            while !told.load(Ordering::Relaxed) {
                let Ok(read) = reader.poll(1_000, Duration::from_millis(100)) else { continue };
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                for record in read.records {
                    let value = record.value.as_deref().unwrap_or_default();
                    match codec.decode::<MessageStatus>(value) {
                        Ok(event) if event.status.is_final() => {
                            seen.entry(event.message_id).or_insert(now);
                        }
                        Ok(_) | Err(_) => {}
                    }
                }
            }
            seen
        };
        let thread = std::thread::Builder::new().name("subscriber".into()).spawn(follow)?;
        Ok(Self { stop, thread })
    }

    /// What it saw.
    #[must_use]
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
