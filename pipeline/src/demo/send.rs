//! Sends the messages as a sender would: over HTTP, a few at a time, waiting when told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use schemas::ids::MessageId;

use super::data::{Data, SampleMessage};
use crate::plant::Addresses;

const AT_ONCE: usize = 64;

/// What the API answered.
pub struct Sent {
    /// Accepted messages, by id, with their index in the data.
    pub accepted: HashMap<MessageId, usize>,
    /// References that were refused, with the status.
    pub refused: Vec<(String, u16)>,
    pub took: Duration,
}

/// Sends the first `count` messages.
///
/// # Errors
/// The API does not answer.
pub async fn all(addresses: &Addresses, data: &Data, count: usize) -> anyhow::Result<Sent> {
    let address = addresses.sender_api.context("the sender API is not running")?;
    let url = format!("http://{address}/api/v1/messages");
    let client = reqwest::Client::builder().pool_max_idle_per_host(AT_ONCE).build()?;
    let messages: Vec<_> = data.messages.iter().take(count).enumerate().collect();
    let bar = bar(messages.len(), "sending");
    let started = Instant::now();
    let done = AtomicUsize::new(0);
    let results: Vec<_> = stream::iter(messages)
        .map(|(index, message)| {
            let (client, url, bar, done) = (&client, &url, &bar, &done);
            async move {
                let answer = post(client, url, data, message).await;
                bar.set_position(
                    u64::try_from(done.fetch_add(1, Ordering::Relaxed) + 1).unwrap_or(0),
                );
                (index, message, answer)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    bar.finish_and_clear();
    let mut sent = Sent { accepted: HashMap::new(), refused: Vec::new(), took: started.elapsed() };
    for (index, message, answer) in results {
        match answer? {
            Ok(id) => {
                sent.accepted.insert(id, index);
            }
            Err(status) => sent.refused.push((message.reference.clone(), status)),
        }
    }
    Ok(sent)
}

async fn post(
    client: &reqwest::Client,
    url: &str,
    data: &Data,
    message: &SampleMessage,
) -> anyhow::Result<Result<MessageId, u16>> {
    let key = data.services.get(&message.service_id).map(|s| s.api_keys.primary.as_str());
    let key =
        key.with_context(|| format!("{}: its service is not in the file", message.reference))?;
    loop {
        let request = client.post(url).header("Ocp-Apim-Subscription-Key", key).json(&message.body);
        let answer = request.send().await.context("the sender API does not answer")?;
        let status = answer.status().as_u16();
        if status == 429 {
            let wait =
                answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
            tokio::time::sleep(Duration::from_secs(wait.unwrap_or(1))).await;
            continue;
        }
        if status != 201 {
            return Ok(Err(status));
        }
        let body: serde_json::Value = answer.json().await?;
        let id = body["id"].as_str().context("201 without an id")?;
        return Ok(Ok(id.parse()?));
    }
}

/// A progress bar with rate and time left on a terminal; nothing elsewhere, the table follows.
pub fn bar(length: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = "{msg:>12} [{bar:30}] {pos}/{len}  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
