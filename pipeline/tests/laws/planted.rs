//! The sample data with everything personal in it replaced by texts that exist nowhere else.

use std::collections::HashMap;

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use crate::search::Needle;

const SERVICES: &str = include_str!("../../data/sample/services.json");
const CITIZENS: &str = include_str!("../../data/sample/citizens.ndjson");
const MESSAGES: &str = include_str!("../../data/sample/messages.ndjson");

/// Services, citizens and messages in the shapes of the sample data, and what must be found nowhere.
#[derive(Default)]
pub struct Planted {
    pub services: Value,
    pub citizens: Vec<Value>,
    pub messages: Vec<Value>,
    /// By service.
    pub keys: HashMap<String, String>,
    /// By what the sample calls the person.
    codes: HashMap<String, String>,
    pub needles: Vec<Needle>,
}

impl Planted {
    /// With the first `count` messages and the persons whom they are for.
    pub fn sample(count: usize) -> Self {
        let mut planted = Self::default();
        planted.services = planted.renamed_services();
        let lines = |text: &str| -> Vec<Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let mut people = HashMap::new();
        for citizen in lines(CITIZENS) {
            people.insert(citizen["fiscal_code"].as_str().unwrap().to_owned(), citizen);
        }
        let mut renamed: HashMap<String, Value> = HashMap::new();
        for mut message in lines(MESSAGES).into_iter().take(count) {
            let code = message["body"]["fiscal_code"].as_str().unwrap().to_owned();
            let citizen = renamed
                .entry(code.clone())
                .or_insert_with(|| planted.renamed_citizen(people[&code].clone()))
                .clone();
            planted.rewrite(&mut message["body"], &citizen);
            planted.messages.push(message);
        }
        planted.citizens = renamed.into_values().collect();
        planted
    }

    /// Plants a text of any kind.
    pub fn plant(&mut self, what: &str, text: &str) -> String {
        self.needles.push(Needle { what: what.to_owned(), text: text.to_owned() });
        text.to_owned()
    }

    /// What was planted under this word.
    pub fn of(&self, what: &str) -> impl Iterator<Item = &Needle> {
        self.needles.iter().filter(move |needle| needle.what == what)
    }

    /// A fiscal code of the right form, with the digits of `like`.
    pub fn fiscal_code(&mut self, like: &str) -> String {
        let code = format!("{}{}{}", letters(6).to_uppercase(), &like[6..15], letters(1));
        self.plant("a fiscal code", &code.to_uppercase())
    }

    /// The same one for a recipient whom a limited sender may write to and for the citizen.
    fn code_instead_of(&mut self, sample: &str) -> String {
        if let Some(known) = self.codes.get(sample) {
            return known.clone();
        }
        let fresh = self.fiscal_code(sample);
        self.codes.insert(sample.to_owned(), fresh.clone());
        fresh
    }

    pub fn mailbox(&mut self, domain: &str) -> String {
        let name = self.plant("an e-mail address", &format!("{}.{}", letters(8), letters(9)));
        format!("{name}@{domain}")
    }

    fn renamed_services(&mut self) -> Value {
        let mut file: Value = serde_json::from_str(SERVICES).unwrap();
        for service in file["services"].as_array_mut().unwrap() {
            for kind in ["primary", "secondary"] {
                let key = format!("planted-{}", letters(24));
                service["api_keys"][kind] = json!(self.plant("an API key", &key));
            }
            let id = service["service_id"].as_str().unwrap().to_owned();
            self.keys.insert(id, service["api_keys"]["primary"].as_str().unwrap().to_owned());
            for code in service["authorized_recipients"].as_array_mut().unwrap() {
                *code = json!(self.code_instead_of(code.as_str().unwrap()));
            }
        }
        file
    }

    fn renamed_citizen(&mut self, mut citizen: Value) -> Value {
        let code = self.code_instead_of(citizen["fiscal_code"].as_str().unwrap());
        citizen["fiscal_code"] = json!(code);
        for name in ["given_name", "family_name"] {
            citizen[name] = json!(self.plant("a name", &letters(10)));
        }
        for place in ["/profile/email", "/fallback_email"] {
            if let Some(Value::String(mailbox)) = citizen.pointer_mut(place) {
                let (_, domain) = mailbox.split_once('@').unwrap();
                *mailbox = self.mailbox(domain);
            }
        }
        let devices = citizen.get_mut("devices").and_then(Value::as_array_mut);
        for device in devices.into_iter().flatten() {
            let token = renamed_token(device["token"].as_str().unwrap());
            device["token"] = json!(self.plant("a device token", &token));
            let installation = self.plant("an installation id", &hex_digits(32));
            device["installation_id"] = json!(installation);
        }
        citizen
    }

    /// Gives a message to `citizen` and makes its words unique.
    pub fn rewrite(&mut self, body: &mut Value, citizen: &Value) {
        body["fiscal_code"] = citizen["fiscal_code"].clone();
        if let Some(mailbox) = body.pointer_mut("/default_addresses/email") {
            let known = citizen["fallback_email"].as_str().map(str::to_owned);
            *mailbox = json!(known.unwrap_or_else(|| self.mailbox("casella.test")));
        }
        // Every wait ends within seconds at the time scale of these laws.
        body["time_to_live"] = json!(3_600);
        let content = &mut body["content"];
        let [first, second] = [(), ()].map(|()| self.plant("a subject", &letters(12)));
        content["subject"] = json!(format!("Avviso {first} èà {second}"));
        let word = self.plant("a text", &letters(16));
        let name = ["given_name", "family_name"].map(|name| citizen[name].as_str().unwrap());
        let markdown = content["markdown"].as_str().unwrap();
        let text = format!("Gentile {}, la sentenza {word}.\n\n{markdown}", name.join(" "));
        content["markdown"] = json!(text.chars().take(9_000).collect::<String>());
        if let Some(number) = content.pointer_mut("/payment_data/notice_number") {
            let fresh = format!("3{:017}", rand::rng().random_range(0..10_u64.pow(17)));
            *number = json!(self.plant("a notice number", &fresh));
        }
        if let Some(id) = content.pointer_mut("/third_party_data/id") {
            *id = json!(self.plant("a document's id", &letters(24)));
        }
    }
}

/// Keeps the beginning, by which the simulators know how to answer.
fn renamed_token(token: &str) -> String {
    let kept = if token.starts_with("dead") { 20 } else { 8 };
    let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let rest = token.len() - kept;
    let fresh = if is_hex { hex_digits(rest) } else { letters(rest) };
    format!("{}{fresh}", &token[..kept])
}

/// Small letters, random: ten of them are nowhere by chance.
pub fn letters(count: usize) -> String {
    drawn(b"abcdefghijklmnopqrstuvwxyz", count)
}

fn hex_digits(count: usize) -> String {
    drawn(b"0123456789abcdef", count)
}

fn drawn(alphabet: &[u8], count: usize) -> String {
    let mut chance = rand::rng();
    (0..count).map(|_| char::from(*alphabet.choose(&mut chance).unwrap())).collect()
}
