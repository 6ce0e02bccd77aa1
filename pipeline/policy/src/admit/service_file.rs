//! The services file that onboarding hands over: services with API keys and recipients in clear.

use std::fmt;

use schemas::ids::Pseudonym;
use serde::Deserialize;

use super::service::{KeyHashes, Service, ServiceDocument};
use crate::contract::FiscalCode;

/// Both keys of a service, equivalent, so that one can be changed while the other works. Never printed.
#[derive(Clone, Deserialize)]
pub struct ApiKeys {
    pub primary: String,
    pub secondary: String,
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One service of the file. The keys and recipients in clear go no further than the caller.
#[derive(Debug)]
pub struct Entry {
    pub service: Service,
    pub keys: ApiKeys,
}

impl Entry {
    /// What may be published of it; `hash` is the keyed hash of an API key as text.
    #[must_use]
    pub fn into_document(self, hash: &dyn Fn(&str) -> String) -> ServiceDocument {
        let api_key_hashes =
            KeyHashes { primary: hash(&self.keys.primary), secondary: hash(&self.keys.secondary) };
        ServiceDocument { service: self.service, api_key_hashes }
    }
}

#[derive(Deserialize)]
struct File {
    services: Vec<serde_json::Value>,
}

/// Reads a services file, turning recipients into pseudonyms.
///
/// # Errors
/// A sentence that names the service by its number and what is wrong with it, never a key or a person.
pub fn read(
    text: &str,
    pseudonym_of: &dyn Fn(&FiscalCode) -> Pseudonym,
) -> Result<Vec<Entry>, String> {
    // The parser's own message would quote the text.
    let file: File = serde_json::from_str(text).map_err(|error| {
        format!("not {{\"services\": [...]}} (line {}, column {})", error.line(), error.column())
    })?;
    let entries = file.services.into_iter().enumerate();
    entries
        .map(|(index, value)| {
            entry(value, pseudonym_of).map_err(|why| format!("service number {}: {why}", index + 1))
        })
        .collect()
}

fn entry(
    mut value: serde_json::Value,
    pseudonym_of: &dyn Fn(&FiscalCode) -> Pseudonym,
) -> Result<Entry, String> {
    let object = value.as_object_mut().ok_or("not an object")?;
    let keys = object.remove("api_keys").ok_or("api_keys missing")?;
    let keys = serde_json::from_value(keys)
        .map_err(|_| "api_keys must hold primary and secondary as texts".to_owned())?;
    let recipients = object.remove("authorized_recipients").unwrap_or_default();
    let recipients: Option<Vec<String>> = serde_json::from_value(recipients)
        .map_err(|_| "authorized_recipients must be a list of fiscal codes".to_owned())?;
    let recipients = recipients
        .unwrap_or_default()
        .iter()
        .map(|text| FiscalCode::parse(text).map(|code| pseudonym_of(&code)))
        .collect::<Option<_>>()
        .ok_or("one of authorized_recipients is no fiscal code")?;
    let mut service: Service = serde_json::from_value(value).map_err(|error| error.to_string())?;
    service.authorized_recipients = recipients;
    Ok(Entry { service, keys })
}
