//! A bounded set of connections to the relay, each used again while it is good.

use std::time::{Duration, Instant};

use edge::pool::Snapshot;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::dialogue::{Dialogue, Ended, Envelope, Way};
use super::reply::Phase;

pub(super) struct Relay {
    way: Way,
    connections: usize,
    permits: Semaphore,
    resting: Mutex<Vec<Resting>>,
    idle: Duration,
    messages_per_connection: u64,
}

struct Resting {
    dialogue: Dialogue,
    since: Instant,
}

impl Relay {
    pub(super) fn new(
        way: Way,
        connections: usize,
        idle: Duration,
        messages_per_connection: u64,
    ) -> Self {
        let permits = Semaphore::new(connections);
        let resting = Mutex::default();
        Self { way, connections, permits, resting, idle, messages_per_connection }
    }

    /// Sends one mail over a free connection. `None` where it could not start within `patience`: then
    /// nothing has left.
    pub(super) async fn deliver(
        &self,
        envelope: &Envelope,
        text: &[u8],
        patience: Duration,
    ) -> Option<Result<(), Ended>> {
        let called = Instant::now();
        let _permit = timeout(patience, self.permits.acquire()).await.ok()?.ok()?;
        if let Some(dialogue) = self.rested() {
            let ended = self.over(dialogue, envelope, text).await;
            if !is_stale(&ended) {
                return Some(ended);
            }
        }
        match Dialogue::open(&self.way).await {
            Ok(dialogue) if called.elapsed() > patience => {
                self.rest(dialogue);
                None
            }
            Ok(dialogue) => Some(self.over(dialogue, envelope, text).await),
            Err(ended) => Some(Err(ended)),
        }
    }

    /// How many connections there are, and how many of them are in use.
    pub(super) fn snapshot(&self) -> Snapshot {
        let (free, resting) = (self.permits.available_permits(), self.resting.lock().len());
        let used = self.connections - free.min(self.connections);
        Snapshot {
            live: used + resting,
            streams_used: used,
            streams_free: free,
            ..Snapshot::default()
        }
    }

    /// Ends the connections that rest.
    pub(super) async fn close(&self) {
        let resting = std::mem::take(&mut *self.resting.lock());
        for place in resting {
            place.dialogue.quit().await;
        }
    }

    async fn over(
        &self,
        mut dialogue: Dialogue,
        envelope: &Envelope,
        text: &[u8],
    ) -> Result<(), Ended> {
        let ended = dialogue.deliver(envelope, text).await;
        self.rest(dialogue);
        ended
    }

    fn rest(&self, dialogue: Dialogue) {
        if dialogue.is_fit(self.messages_per_connection) {
            self.resting.lock().push(Resting { dialogue, since: Instant::now() });
        } else {
            tokio::spawn(dialogue.quit());
        }
    }

    /// The connection that rested last; those that rested too long are given up.
    fn rested(&self) -> Option<Dialogue> {
        let mut resting = self.resting.lock();
        let (good, old): (Vec<_>, Vec<_>) =
            resting.drain(..).partition(|place| place.since.elapsed() < self.idle);
        *resting = good;
        let last = resting.pop().map(|place| place.dialogue);
        drop(resting);
        old.into_iter().for_each(|place| drop(tokio::spawn(place.dialogue.quit())));
        last
    }
}

/// A connection that was closed while it rested says so at its next command: nothing has been sent,
/// a fresh one is due.
fn is_stale(ended: &Result<(), Ended>) -> bool {
    match ended {
        Err(Ended::Lost(Phase::Mail)) => true,
        Err(Ended::Refused(Phase::Mail, reply)) => reply.code == 421,
        Ok(()) | Err(Ended::Refused(..) | Ended::Lost(_) | Ended::NoStartTls | Ended::NoLogin) => {
            false
        }
    }
}
