//! The doubles of the providers, and their books.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{Managed, wait_until};
use crate::evidence::Send;
use crate::records::Channel;

const START: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Simulators {
    pub process: Managed,
    /// Addresses, as `staffetta sim` prints them.
    pub places: Value,
}

impl Simulators {
    /// Starts and answers; certificates and keys lie in `folder`.
    pub async fn start(program: &Path, folder: &Path, time_scale: f64) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (scale, place) = (time_scale.to_string(), folder.display().to_string());
        let log = folder.join("sim.log");
        let arguments = ["sim", "--folder", &place, "--time-scale", &scale];
        let mut process = Managed::new("simulators", program, &arguments, &log);
        process.start()?;
        let mut places = None;
        wait_until(START, || {
            places = printed(&log);
            places.is_some() || !process.runs()
        })
        .await;
        let Some(places) = places else {
            bail!("the simulators do not start:\n{}", process.last_words());
        };
        Ok(Self { process, places })
    }

    #[must_use]
    pub fn text(&self, provider: &str, key: &str) -> String {
        self.places[provider][key].as_str().unwrap_or_default().to_owned()
    }

    fn admin(&self, channel: Channel, path: &str) -> String {
        let provider = match channel {
            Channel::Apns => "apns",
            Channel::Fcm => "fcm",
            Channel::Email => "smtp",
        };
        format!("{}{path}", self.text(provider, "admin"))
    }

    /// Orders an answer; see the simulators' `Script`.
    pub async fn script(&self, channel: Channel, script: &Value) -> Result<()> {
        let client = reqwest::Client::new();
        let answer = client.post(self.admin(channel, "/script")).json(script).send().await?;
        if !answer.status().is_success() {
            bail!("the simulator refuses a script: {}", answer.text().await?);
        }
        Ok(())
    }

    /// Everything that was taken, and what the providers' counters say.
    pub async fn books(&mut self) -> Result<Books> {
        if !self.process.runs() {
            bail!("the simulators have ended:\n{}", self.process.last_words());
        }
        let mut books = Books::default();
        for channel in Channel::ALL {
            let text = reqwest::get(self.admin(channel, "/received")).await?.text().await?;
            for line in text.lines() {
                let received: Received = serde_json::from_str(line)
                    .ok()
                    .context("a line of /received is not of the known shape")?;
                books.sends.push(received.into_send(channel)?);
            }
            let counts = reqwest::get(self.admin(channel, "/counts")).await?;
            let counts: Counts = counts.json().await?;
            books.counted.insert(channel, counts.accepted);
            books.not_kept += counts.received_dropped;
        }
        Ok(books)
    }
}

#[derive(Debug, Default)]
pub struct Books {
    pub sends: Vec<Send>,
    pub counted: HashMap<Channel, u64>,
    pub not_kept: u64,
}

#[derive(Deserialize)]
struct Received {
    at_ms: i64,
    token: Option<String>,
    address: Option<String>,
    id: String,
    payload: Value,
}

#[derive(Deserialize)]
struct Counts {
    accepted: u64,
    received_dropped: u64,
}

impl Received {
    fn into_send(self, channel: Channel) -> Result<Send> {
        let (about, address) = match channel {
            Channel::Apns => (self.payload["message_id"].as_str().map(str::to_owned), self.token),
            Channel::Fcm => {
                let id = &self.payload["message"]["data"]["message_id"];
                (id.as_str().map(str::to_owned), self.token)
            }
            Channel::Email => (Some(self.id), self.address),
        };
        let about = about.context("a push without message id")?;
        Ok(Send { channel, about, address: address.context("no address")?, at: self.at_ms })
    }
}

/// The JSON that the process prints first; `None` while it is not whole.
fn printed(log: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(log).ok()?;
    let from = text.find('{')?;
    serde_json::Deserializer::from_str(&text[from..]).into_iter().next()?.ok()
}
