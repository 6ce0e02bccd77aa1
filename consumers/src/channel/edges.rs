//! What a process knows of its edges: which are down, and which sends are still under way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime::metrics::Metrics;
use schemas::ids::Timestamp;
use schemas::topics::Channel;
use tokio::sync::watch;

use super::port::Port;

/// The edges of this process, so that a stage can hand a story past another channel's outage.
#[derive(Clone)]
pub struct Edges {
    ports: Arc<Mutex<Vec<Arc<dyn Port>>>>,
    /// Sends whose stories went on without them.
    silent: Arc<watch::Sender<usize>>,
}

impl Default for Edges {
    fn default() -> Self {
        Self { ports: Arc::default(), silent: Arc::new(watch::Sender::new(0)) }
    }
}

impl Edges {
    /// Makes a port's state known to all channels.
    pub fn add(&self, port: Arc<dyn Port>) {
        self.ports.lock().push(port);
    }

    /// Brings the metrics of all edges up to date.
    pub fn report(&self, metrics: &Metrics) {
        self.ports.lock().iter().for_each(|port| port.report(metrics));
    }

    /// Waits until no silent send is under way, so that its answer is not lost with this process;
    /// `patience` at most.
    pub async fn settled(&self, patience: Duration) {
        let mut silent = self.silent.subscribe();
        // Whatever is left then counts as unknown, and is repeated under the same ids.
        let _ = tokio::time::timeout(patience, silent.wait_for(|sends| *sends == 0)).await;
    }

    pub(super) fn down(&self, now: Timestamp) -> Vec<(Channel, Timestamp)> {
        let ports = self.ports.lock();
        ports.iter().filter_map(|p| p.down_until(now).map(|until| (p.channel(), until))).collect()
    }

    /// `send`, counted among the silent ones for as long as it lasts.
    pub(super) fn watched<F: Future<Output = ()>>(
        &self,
        send: F,
    ) -> impl Future<Output = ()> + use<F> {
        let silent = Arc::clone(&self.silent);
        silent.send_modify(|sends| *sends += 1);
        let over = Over(silent);
        async move {
            send.await;
            drop(over);
        }
    }
}

/// Counts down also where its future is dropped.
struct Over(Arc<watch::Sender<usize>>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.send_modify(|sends| *sends -= 1);
    }
}
