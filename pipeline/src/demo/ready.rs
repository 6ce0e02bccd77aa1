//! What a guest needs to know once everything answers: on the terminal and in the ready file.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::data::Data;
use super::world::{self, World};
use super::{Options, print};
use crate::plant::Addresses;

/// Addresses, keys and sample citizens.
pub struct Ready(Value);

impl Ready {
    pub fn new(
        addresses: &Addresses,
        options: &Options,
        world: &World,
        data: &Data,
        people: &Value,
    ) -> Self {
        let url = |address: Option<std::net::SocketAddr>| address.map(|a| format!("http://{a}"));
        let services: Vec<_> = data
            .services
            .values()
            .map(|s| json!({"id": s.service_id, "key": s.api_keys.primary, "groups": s.groups}))
            .collect();
        let mut ready = json!({
            "api": url(addresses.sender_api),
            "citizen_api": url(addresses.citizen_api),
            "metrics": url(addresses.operations).map(|base| format!("{base}/metrics")),
            "simulators": world::addresses(world.simulators()),
            "services": services,
            "citizens": people,
        });
        if let Some(kafka) = &options.kafka {
            ready["kafka"] = json!(kafka);
        }
        if let Some(redis) = &options.redis {
            ready["redis"] = json!(redis);
        }
        Self(ready)
    }

    /// Writes the file whole or not at all, readable by its owner only.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let draft = file.with_extension("draft");
        let mut open = std::fs::OpenOptions::new();
        let mut out = open
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .with_context(|| format!("{}", draft.display()))?;
        out.write_all(&serde_json::to_vec_pretty(&self.0)?)?;
        out.sync_all()?;
        std::fs::rename(&draft, file).with_context(|| format!("{}", file.display()))
    }

    /// URLs, a sample key and a `curl` that works as it stands.
    pub fn print(&self, data: &Data) {
        let text = |key: &str| self.0[key].as_str().unwrap_or("-").to_owned();
        let wide = data.services.values().find(|s| {
            s.groups.iter().any(|g| g == "ApiMessageWrite")
                && !s.groups.iter().any(|g| g == "ApiLimitedMessageWrite")
        });
        let key = wide.map(|s| s.api_keys.primary.clone()).unwrap_or_default();
        let citizen = self.0["citizens"]["on_board_apns"]["fiscal_code"].as_str().unwrap_or("-");
        let body = json!({"fiscal_code": citizen, "content": {
            "subject": "Una prova della staffetta",
            "markdown": "Questo messaggio attraversa tutta la staffetta: consenso, deposito sigillato, \
                         notifica sul telefono ed evento finale.",
        }});
        print(&format!("sender API   {}", text("api")));
        print(&format!("citizen API  {}", text("citizen_api")));
        print(&format!("metrics      {}", text("metrics")));
        print(&format!("sample key   {key}"));
        print(&format!(
            "try it:\n  curl -si {}/api/v1/messages -H 'Ocp-Apim-Subscription-Key: {key}' \
             -H 'Content-Type: application/json' -d '{body}'",
            text("api")
        ));
        print("Ctrl-C ends");
    }
}

/// One citizen of each role, with a bearer token.
pub fn people(data: &Data, world: &World) -> Value {
    let mut people = json!({});
    let mut put = |role: &str, citizen: Option<&Value>, service: Option<String>| {
        let Some(code) = citizen.and_then(|c| c["fiscal_code"].as_str()) else { return };
        let mut entry = json!({"fiscal_code": code, "token": world.token(code).ok()});
        if let Some(service) = service {
            entry["service_id"] = json!(service);
        }
        people[role] = entry;
    };
    let find = |wanted: &dyn Fn(&Value) -> bool| data.citizens.iter().find(|c| wanted(c));
    let segment = |c: &Value, name: &str| c["segment"] == name;
    // Tokens with a scripted answer make poor first impressions.
    let on = |c: &Value, platforms: &[&str]| {
        let devices = c["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut has: Vec<_> = devices.iter().filter_map(|d| d["platform"].as_str()).collect();
        has.sort_unstable();
        has.dedup();
        segment(c, "push")
            && has == platforms
            && c["profile"]["service_preferences_settings"]["mode"] == "AUTO"
            && c["preferences"].as_array().is_some_and(Vec::is_empty)
            && devices.iter().all(is_plain)
    };
    put("on_board_apns", find(&|c| on(c, &["apns"])), None);
    put("on_board_fcm", find(&|c| on(c, &["fcm"])), None);
    put("both", find(&|c| on(c, &["apns", "fcm"])), None);
    put("email_only", find(&|c| segment(c, "email_only")), None);
    let refusing = find(&|c| refused_service(c).is_some());
    put("opted_out", refusing, refusing.and_then(refused_service));
    put("inbox_off", find(&|c| segment(c, "inbox_disabled")), None);
    put("unknown", find(&|c| segment(c, "not_registered")), None);
    people
}

fn is_plain(device: &Value) -> bool {
    const SCRIPTED: [&str; 19] = [
        "deadbeef",
        "deadc0de",
        "fa11",
        "51002000",
        "c105ed00",
        "0ff11e00",
        "gone-",
        "bad-",
        "mismatch-",
        "429-",
        "quota-",
        "500-",
        "503-",
        "slow-",
        "drop-",
        "mute-",
        "fail",
        "410-",
        "404-",
    ];
    let token = device["token"].as_str().unwrap_or_default();
    !SCRIPTED.iter().any(|prefix| token.starts_with(prefix))
}

/// A service that this citizen refuses by a preference in force.
fn refused_service(citizen: &Value) -> Option<String> {
    let settings = &citizen["profile"]["service_preferences_settings"];
    if settings["mode"] != "AUTO" || citizen["segment"] != "opted_out" {
        return None;
    }
    let preferences = citizen["preferences"].as_array()?;
    let refusal = preferences.iter().find(|p| {
        p["settings_version"] == settings["version"] && p["is_inbox_enabled"] == json!(false)
    })?;
    refusal["service_id"].as_str().map(str::to_owned)
}
