//! The sample data: services, citizens, and messages with what must become of them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::Options;

const SERVICES: &str = include_str!("../../data/sample/services.json");
const CITIZENS: &str = include_str!("../../data/sample/citizens.ndjson");
const MESSAGES: &str = include_str!("../../data/sample/messages.ndjson");

/// A service with its keys in clear: sample keys, not secrets.
#[derive(Debug, Clone, Deserialize)]
pub struct SampleService {
    pub service_id: String,
    pub groups: Vec<String>,
    pub api_keys: SampleKeys,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SampleKeys {
    pub primary: String,
}

/// A message, and the contract's answer before any provider is asked.
#[derive(Clone, Deserialize)]
pub struct SampleMessage {
    #[serde(rename = "ref")]
    pub reference: String,
    pub service_id: String,
    pub body: Value,
    pub expected: Expected,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Expected {
    pub decision: Decision,
    #[serde(default)]
    pub devices: u32,
    #[serde(default)]
    pub email: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Deliver,
    Reject,
    NotOnBoard,
    FallbackEmail,
}

/// Everything the demo works on.
pub struct Data {
    pub services_text: String,
    pub services: HashMap<String, SampleService>,
    /// One JSON object each, as the file has them.
    pub citizens: Vec<Value>,
    pub messages: Vec<SampleMessage>,
}

impl Data {
    /// What ships with the binary, or the files that the options name.
    ///
    /// # Errors
    /// Which file, which line.
    pub fn read(options: &Options) -> anyhow::Result<Self> {
        let services_text = text(options.services.as_deref(), SERVICES)?;
        let citizens = text(options.citizens.as_deref(), CITIZENS)?;
        let messages = text(options.messages_file.as_deref(), MESSAGES)?;
        #[derive(Deserialize)]
        struct File {
            services: Vec<SampleService>,
        }
        let file: File = serde_json::from_str(&services_text).context("the services file")?;
        let services = file.services.into_iter().map(|s| (s.service_id.clone(), s)).collect();
        Ok(Self {
            services_text,
            services,
            citizens: lines(&citizens, "citizens")?,
            messages: lines(&messages, "messages")?,
        })
    }
}

fn text(file: Option<&Path>, default: &str) -> anyhow::Result<String> {
    match file {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("{}", path.display())),
        None => Ok(default.to_owned()),
    }
}

fn lines<T: for<'de> Deserialize<'de>>(text: &str, what: &str) -> anyhow::Result<Vec<T>> {
    let filled = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    filled
        .map(|(number, line)| {
            // The parser's own words would quote the line.
            serde_json::from_str(line)
                .map_err(|_| anyhow::anyhow!("the {what} file: line {} is not right", number + 1))
        })
        .collect()
}
