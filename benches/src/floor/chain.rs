//! The hops as a whole: starts them, sends through them, counts what arrives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::join_all;
use runtime::log::{Appender, Outgoing};
use schemas::headers::Headers;
use schemas::ids::{MessageId, Timestamp};
use schemas::topics::{Channel, Lane, Topic};

use super::hop::{self, Copied};
use super::{Log, SILENCE};
use crate::logs::Place;
use crate::meter::count;
use crate::pacer::Pacer;

/// A value begins with the number of its phase and its own.
pub const SMALLEST: usize = 8;
/// Appends in flight at once.
const IN_FLIGHT: usize = 1_024;
/// Citizens: keys are as many as the pipeline's.
const KEYS: usize = 10_000;

/// The topics of a message's way to a push: one hop between every two.
const WAY: [Topic; 4] = [
    Topic::Accepted(Lane::Live),
    Topic::Permitted(Lane::Live),
    Topic::Attempt(Channel::Apns, Lane::Live),
    Topic::Status,
];

/// A part of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    pub number: u8,
    pub count: usize,
    /// Records a second; as many at once as may be in flight otherwise.
    pub rate: Option<f64>,
}

/// How it went; nothing was lost.
pub struct Done {
    /// From the first record's start to the last one's end.
    pub took: Duration,
    /// From when each record was due, to the last transaction's begin and to its end.
    pub times: Vec<(Duration, Duration)>,
    /// In the last hop.
    pub records_a_commit: f64,
}

/// The running hops.
pub struct Chain {
    bytes: usize,
    arrived: Receiver<Copied>,
    hops: Vec<JoinHandle<Result<()>>>,
    stop: Arc<AtomicBool>,
}

impl Chain {
    /// Creates the topics and starts a thread a hop.
    ///
    /// # Errors
    /// The log's.
    pub fn start(log: &Log, place: &Place, bytes: usize) -> Result<Self> {
        let seats: Vec<_> = WAY[..3].iter().map(|from| hop::seat(*from)).collect();
        log.apply(&WAY, place.partitions, &seats)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, arrived) = channel();
        let mut hops = Vec::new();
        for pair in WAY.windows(2) {
            let (log, stop, from, to) = (Arc::clone(log), Arc::clone(&stop), pair[0], pair[1]);
            // Only the last one's records have arrived.
            let done = if to == Topic::Status { sender.clone() } else { channel().0 };
            let work = move || hop::run(&log, from, to, &done, &stop);
            hops.push(std::thread::Builder::new().name(format!("hop {to}")).spawn(work)?);
        }
        Ok(Self { bytes, arrived, hops, stop })
    }

    /// Sends a phase's records through the chain and waits for the last.
    ///
    /// # Errors
    /// A record that was not taken, is lost or came twice; a hop that has ended.
    pub async fn send(&mut self, log: &Log, phase: Phase) -> Result<Done> {
        let pacer = Pacer::new(phase.count, phase.rate);
        let refused = AtomicUsize::new(0);
        let appender = log.appender()?;
        let started = Instant::now();
        let senders = (0..IN_FLIGHT.min(phase.count))
            .map(|_| self.append(appender.as_ref(), &pacer, phase, &refused));
        let due: HashMap<u32, Instant> = join_all(senders).await.into_iter().flatten().collect();
        let refused = refused.into_inner();
        ensure!(
            refused == 0,
            "LOST {refused} of {} records: the log did not take them",
            phase.count
        );
        let (times, last, commits) = tokio::task::block_in_place(|| self.wait(phase, &due))?;
        let records_a_commit = count(times.len()) / count(commits.max(1));
        Ok(Done { took: last.duration_since(started), times, records_a_commit })
    }

    /// One sender; gives when its records were due.
    async fn append(
        &self,
        appender: &dyn Appender,
        pacer: &Pacer,
        phase: Phase,
        refused: &AtomicUsize,
    ) -> Vec<(u32, Instant)> {
        let mut due = Vec::new();
        while let Some((number, at)) = pacer.next().await {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            due.push((number, at.into_std()));
            if appender.append(record(phase.number, number, self.bytes)).await.is_err() {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        due
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once by the one caller")]
    fn wait(
        &self,
        phase: Phase,
        due: &HashMap<u32, Instant>,
    ) -> Result<(Vec<(Duration, Duration)>, Instant, usize)> {
        let mut times: HashMap<u32, (Duration, Duration)> = HashMap::new();
        let (mut last, mut commits, mut doubled) = (Instant::now(), 0, 0_usize);
        while times.len() < phase.count {
            let Ok(copied) = self.arrived.recv_timeout(SILENCE) else {
                let lost = phase.count - times.len();
                anyhow::bail!("LOST {lost} of {} records on the bare chain", phase.count);
            };
            commits += 1;
            for mark in copied.marks.iter().filter(|mark| mark[0] == phase.number) {
                let number = u32::from_be_bytes([mark[4], mark[5], mark[6], mark[7]]);
                let Some(due) = due.get(&number) else { continue };
                let took =
                    (copied.written.duration_since(*due), copied.readable.duration_since(*due));
                doubled += usize::from(times.insert(number, took).is_some());
            }
            last = copied.readable;
        }
        ensure!(doubled == 0, "{doubled} records came twice on the bare chain");
        Ok((times.into_values().collect(), last, commits))
    }

    /// Ends the hops.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for hop in self.hops {
            match hop.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => crate::console::note(format_args!("a hop ended: {error:#}")),
                Err(_) => crate::console::note("a hop ended in a panic"),
            }
        }
    }
}

fn record(phase: u8, number: u32, bytes: usize) -> Outgoing {
    let mut value = vec![0; bytes];
    value[0] = phase;
    value[4..8].copy_from_slice(&number.to_be_bytes());
    let key = format!("{:032x}", count_of(number) % KEYS).into_bytes();
    let headers = Headers {
        message_id: Some(MessageId::from_parts(u64::from(phase), u128::from(number))),
        accepted_at: Some(Timestamp(0)),
        ..Headers::default()
    };
    let (topic, partition_by) = (WAY[0], key.clone());
    Outgoing { topic, key, partition_by, value: Some(value), headers }
}

fn count_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(0)
}
