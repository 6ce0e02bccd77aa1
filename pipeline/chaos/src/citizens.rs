//! Citizens who refuse a service while messages of that service are on their way to them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::evidence::Choice;
use crate::parts::{Identity, now};
use crate::sample::{Message, Outlook, Sample};

const ANSWER: Duration = Duration::from_secs(30);
/// A citizen who gets no 200 tries for so long.
const PATIENCE: Duration = Duration::from_secs(120);
const REST: Duration = Duration::from_millis(500);

/// Pairs of citizen and service that may be refused: reachable until then, by a profile whose
/// preferences are its own.
fn candidates(sample: &Sample) -> Vec<&Message> {
    let mut seen = HashSet::new();
    let is_reachable = |sent: &&Message| match sample.outlook(sent) {
        Outlook::Deliver { push, email, .. } => push || email,
        Outlook::Rejected | Outlook::NotOnBoard | Outlook::Fallback { .. } => false,
    };
    let is_free = |sent: &&Message| settings_version(sample, sent).is_some();
    let reachable = sample.messages.iter().filter(is_reachable).filter(is_free);
    reachable.filter(|sent| seen.insert((sent.recipient(), sent.service_id.as_str()))).collect()
}

/// `None` in mode LEGACY, where single services are refused otherwise.
fn settings_version(sample: &Sample, sent: &Message) -> Option<i64> {
    let profile = sample.citizens.get(sent.recipient())?.profile.as_ref()?;
    let settings = &profile["service_preferences_settings"];
    if settings["mode"] == "LEGACY" { None } else { settings["version"].as_i64() }
}

/// Lets one citizen after the other refuse, until the senders have begun their last request.
pub async fn refuse(
    sample: Arc<Sample>,
    identity: &Identity,
    url: &str,
    every: Duration,
    seed: u64,
    begun: watch::Receiver<usize>,
    last: usize,
) -> Result<Vec<Choice>> {
    let client = reqwest::Client::builder().timeout(ANSWER).build()?;
    let mut order = candidates(&sample);
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let mut choices = Vec::new();
    let mut due = Instant::now() + every;
    for sent in order {
        tokio::time::sleep_until(due).await;
        due = Instant::now().max(due) + every;
        if *begun.borrow() >= last {
            break;
        }
        let Some(version) = settings_version(&sample, sent) else { continue };
        let asked = Asked {
            client: &client,
            url: format!("{url}/api/v1/services/{}/preferences", sent.service_id),
            token: identity.token(sent.recipient())?,
            version,
        };
        let began = now();
        match asked.until_answered().await {
            Answer::InForce(at) => choices.push(choice(sent, began, Some(at))),
            Answer::Unknown => choices.push(choice(sent, began, None)),
            Answer::Refused => {}
        }
    }
    Ok(choices)
}

fn choice(sent: &Message, asked: i64, in_force: Option<i64>) -> Choice {
    let (citizen, service) = (sent.recipient().to_owned(), sent.service_id.clone());
    Choice { citizen, service, asked, in_force }
}

enum Answer {
    InForce(i64),
    /// It may stand, or may yet.
    Unknown,
    /// A rule of the service stands against it: nothing was changed.
    Refused,
}

struct Asked<'a> {
    client: &'a reqwest::Client,
    url: String,
    token: String,
    version: i64,
}

impl Asked<'_> {
    async fn until_answered(&self) -> Answer {
        let end = Instant::now() + PATIENCE;
        let mut left = false;
        while Instant::now() < end {
            let body = json!({
                "is_inbox_enabled": false, "is_email_enabled": false, "is_webhook_enabled": false,
                "settings_version": self.version,
            });
            let request = self.client.put(&self.url).bearer_auth(&self.token).json(&body);
            match request.send().await {
                Ok(answer) if answer.status().is_success() => return Answer::InForce(now()),
                Ok(answer) if answer.status() == 409 && !left => return Answer::Refused,
                Ok(answer) => left |= answer.status().is_server_error(),
                Err(error) => left |= !error.is_connect(),
            }
            tokio::time::sleep(REST).await;
        }
        Answer::Unknown
    }
}
