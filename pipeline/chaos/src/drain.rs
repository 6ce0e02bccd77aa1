//! When a run is over: every message that was taken has its end, and nothing is left unread.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use schemas::topics::Topic;
use tokio::time::Instant;

use crate::evidence::Taken;
use crate::parts::Staffetta;
use crate::records::{Event, STATUS_SCHEMA, decode_all};
use crate::source::KafkaSource;

const STEP: Duration = Duration::from_millis(500);
const AT_A_TIME: usize = 20_000;
/// So many looks in a row must find the stages idle: gauges are set by workers that may have stopped.
const IDLE_LOOKS: u32 = 6;

/// How long nothing may happen before the wait ends and the check says what is missing: the longest
/// pending retry, which passes faster by `time_scale`, and room.
#[must_use]
pub fn patience(time_scale: f64) -> Duration {
    Duration::from_secs_f64(1_800.0 / time_scale + 60.0)
}

/// On Kafka: the checker's own reading of `message.status`, then of what lies before each group.
pub async fn on_kafka(source: &KafkaSource, taken: &[Taken], time_scale: f64) -> Result<bool> {
    let source = source.clone();
    let mut waiting: HashSet<String> = taken.iter().map(|taken| taken.id.clone()).collect();
    let patience = patience(time_scale);
    tokio::task::spawn_blocking(move || {
        let follower = source.follow(Topic::Status)?;
        let mut moved = std::time::Instant::now();
        loop {
            let news: Vec<Event> = decode_all(STATUS_SCHEMA, &follower.news(AT_A_TIME))?;
            if !news.is_empty() {
                moved = std::time::Instant::now();
            }
            for event in news.iter().filter(|event| event.status.is_final()) {
                waiting.remove(&event.message_id);
            }
            let quiet = news.is_empty();
            // A broker that is just coming back is no reason to stop waiting.
            if quiet && waiting.is_empty() && !source.anything_unread().unwrap_or(true) {
                return Ok(true);
            }
            if moved.elapsed() > patience {
                return Ok(false);
            }
        }
    })
    .await?
}

/// On the embedded log, which nobody else can read meanwhile: the stages' own gauges. They are only
/// believed as to when to look; the check itself reads the log.
pub async fn on_embedded(staffetta: &Staffetta, time_scale: f64) -> Result<bool> {
    let mut idle = 0;
    let mut last = f64::NAN;
    let mut moved = Instant::now();
    while idle < IDLE_LOOKS {
        tokio::time::sleep(STEP).await;
        let mut open = 0.0;
        for part in &staffetta.parts {
            open += part.gauges("stage_lag").await? + part.gauges("stage_in_flight").await?;
        }
        idle = if open == 0.0 { idle + 1 } else { 0 };
        let same = open.to_bits() == last.to_bits();
        if !same {
            (last, moved) = (open, Instant::now());
        }
        if idle == 0 && moved.elapsed() > patience(time_scale) {
            return Ok(false);
        }
    }
    Ok(true)
}
