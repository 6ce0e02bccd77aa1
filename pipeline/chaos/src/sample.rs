//! The sample data: services with their keys, citizens with their devices, messages with what must
//! become of them. Files in the shape of `pipeline/data/sample`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What the contract answers before any provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Deliver,
    Reject,
    NotOnBoard,
    FallbackEmail,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Expected {
    pub decision: Verdict,
    /// Devices to be tried by push.
    #[serde(default)]
    pub devices: usize,
    /// Whether the citizen may be mailed.
    #[serde(default)]
    pub email: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    pub service_id: String,
    pub body: Value,
    pub expected: Expected,
}

impl Message {
    #[must_use]
    pub fn recipient(&self) -> &str {
        self.body["fiscal_code"].as_str().unwrap_or_default()
    }

    /// The contract's default is an hour.
    #[must_use]
    pub fn seconds_to_live(&self) -> u64 {
        self.body["time_to_live"].as_u64().unwrap_or(3_600)
    }

    /// Where the sender would have it mailed if the recipient is not on board.
    #[must_use]
    pub fn fallback_address(&self) -> Option<&str> {
        self.body["default_addresses"]["email"].as_str()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Device {
    pub token: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Citizen {
    pub fiscal_code: String,
    #[serde(default)]
    pub profile: Option<Value>,
    #[serde(default)]
    pub devices: Vec<Device>,
}

impl Citizen {
    #[must_use]
    pub fn mailbox(&self) -> Option<&str> {
        self.profile.as_ref().and_then(|profile| profile["email"].as_str())
    }
}

/// Everything a run works on.
#[derive(Debug, Default)]
pub struct Sample {
    pub services_file: PathBuf,
    pub citizens_file: PathBuf,
    /// Service id to API key: sample keys, not secrets.
    pub keys: HashMap<String, String>,
    pub citizens: HashMap<String, Citizen>,
    /// Device token to the fiscal code of its owner.
    pub owners: HashMap<String, String>,
    pub messages: Vec<Message>,
}

impl Sample {
    /// Errors: which file, which line; never what stands in it.
    pub fn read(folder: &Path) -> Result<Self> {
        let services_file = folder.join("services.json");
        let citizens_file = folder.join("citizens.ndjson");
        let text = std::fs::read_to_string(&services_file)
            .with_context(|| format!("cannot read {}", services_file.display()))?;
        let keys = keys(&text).context("services.json is not of the known shape")?;
        let citizens: Vec<Citizen> = lines(&citizens_file)?;
        let messages = lines(&folder.join("messages.ndjson"))?;
        let mut sample = Self::of(citizens, messages);
        (sample.keys, sample.services_file, sample.citizens_file) =
            (keys, services_file, citizens_file);
        Ok(sample)
    }

    /// As [`Sample::read`], from what is at hand.
    #[must_use]
    pub fn of(citizens: Vec<Citizen>, messages: Vec<Message>) -> Self {
        let owned = |citizen: &Citizen| {
            let code = citizen.fiscal_code.clone();
            let tokens = citizen.devices.iter().map(|device| device.token.clone());
            tokens.map(move |token| (token, code.clone())).collect::<Vec<_>>()
        };
        let owners = citizens.iter().flat_map(owned).collect();
        let citizens =
            citizens.into_iter().map(|citizen| (citizen.fiscal_code.clone(), citizen)).collect();
        Self { citizens, owners, messages, ..Self::default() }
    }

    /// What must become of a message, as far as the data alone can tell.
    #[must_use]
    pub fn outlook(&self, message: &Message) -> Outlook {
        let expected = &message.expected;
        let citizen = self.citizens.get(message.recipient());
        match expected.decision {
            Verdict::Reject => Outlook::Rejected,
            Verdict::NotOnBoard => Outlook::NotOnBoard,
            Verdict::FallbackEmail => {
                Outlook::Fallback { taken: message.fallback_address().is_some_and(is_taken) }
            }
            Verdict::Deliver => {
                let devices = citizen.map_or(&[][..], |citizen| &citizen.devices);
                let all_count = devices.len() == expected.devices;
                let rings = all_count && devices.iter().any(|device| is_plain(&device.token));
                let mailbox = citizen.and_then(Citizen::mailbox);
                let mailed = expected.email && mailbox.is_some_and(is_taken);
                Outlook::Deliver {
                    push: expected.devices > 0,
                    email: expected.email,
                    sure: rings || mailed,
                }
            }
        }
    }
}

/// The ends a message may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    Rejected,
    NotOnBoard,
    /// The sender's own address; `taken`: its mailbox takes whatever comes.
    Fallback {
        taken: bool,
    },
    /// `sure`: at least one address that may be used takes whatever comes.
    Deliver {
        push: bool,
        email: bool,
        sure: bool,
    },
}

/// Prefixes by which the simulators answer otherwise than with a yes (`slow` and its kin say yes).
const SCRIPTED: [&str; 20] = [
    "deadbeef",
    "deadc0de",
    "fa11",
    "c105ed00",
    "0ff11e00",
    "fail",
    "410-",
    "404-",
    "400-",
    "403-",
    "429-",
    "500-",
    "503-",
    "gone-",
    "bad-",
    "mismatch-",
    "quota-",
    "drop-",
    "mute-",
    "down-",
];

fn is_plain(token: &str) -> bool {
    !SCRIPTED.iter().any(|prefix| token.starts_with(prefix))
}

/// `grey.example` refuses once and then takes; the others refuse, or close without an answer.
fn is_taken(address: &str) -> bool {
    let scripted = ["nobody.example", "full.example", "policy.example", "drop.example"];
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    !scripted.contains(&domain)
}

fn keys(text: &str) -> Result<HashMap<String, String>> {
    let file: Value = serde_json::from_str(text)?;
    let services = file["services"].as_array().context("no services")?;
    let pair = |service: &Value| {
        let key = service["api_keys"]["primary"].as_str()?;
        Some((service["service_id"].as_str()?.to_owned(), key.to_owned()))
    };
    services.iter().map(pair).collect::<Option<_>>().context("a service without id or key")
}

fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parse = |(number, line): (usize, &str)| {
        // The parser's own words would quote the line.
        serde_json::from_str(line).map_err(|_| {
            anyhow::anyhow!("{}: line {} is not of the known shape", file.display(), number)
        })
    };
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_that_ship_are_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample");
        let sample = Sample::read(&folder).unwrap();
        let sure = |message: &&Message| {
            matches!(sample.outlook(message), Outlook::Deliver { sure: true, .. })
        };
        assert!(
            sample.messages.iter().all(|message| sample.keys.contains_key(&message.service_id))
        );
        assert!(sample.messages.iter().filter(sure).count() > sample.messages.len() / 2);
    }
}
