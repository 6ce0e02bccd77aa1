//! A sender with every right needed, and the ways to take rights away.

use std::net::IpAddr;

use policy::admit::group::{Group, Groups};
use policy::admit::service::Service;
use policy::admit::{Admitted, Body, Caller, Lookups, Problem, Submission, admit};
use policy::contract::FiscalCode;
use schemas::ids::Pseudonym;
use serde_json::{Value, json};

pub const SANDBOX: &str = "AAAAAA00A00A000A";
pub const OTHER: &str = "AAAAAA00A00A000B";
pub const OWN_CONFIGURATION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
pub const FOREIGN_CONFIGURATION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAX";

/// No keyed hash, but as unique as one: enough for rules that only compare.
pub fn pseudonym_of(code: &FiscalCode) -> Pseudonym {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(code.as_str().as_bytes());
    Pseudonym(bytes)
}

pub fn a_service() -> Service {
    serde_json::from_value(json!({
        "service_id": "01JNDKQJM0THQ3F7T59F27VNZ4",
        "name": "Tributi",
        "description": "Avvisi",
        "organisation": { "name": "Comune", "fiscal_code": "80001017773" },
        "account": { "account_id": "account-1", "email": "servizi@example.com" },
        "groups": ["ApiMessageRead", "ApiMessageWrite", "ApiLimitedProfileRead"],
        "max_allowed_payment_amount": 9_999_999_999_u64,
        "authorized_cidrs": ["203.0.113.0/24"],
        "metadata": { "privacy_url": "https://www.example.com", "email": "a@example.com" }
    }))
    .unwrap()
}

pub fn a_body() -> Value {
    json!({
        "fiscal_code": SANDBOX,
        "content": { "subject": "Comunicazione di prova", "markdown": "a".repeat(80) }
    })
}

/// A request to send, all of it to be spoilt.
pub struct Case {
    pub account_id: String,
    pub account_email: String,
    pub groups: Vec<Group>,
    pub service: Option<Service>,
    pub client_ip: Option<IpAddr>,
    pub path_code: Option<String>,
    pub body: Value,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            account_id: "account-1".to_owned(),
            account_email: "servizi@example.com".to_owned(),
            groups: vec![Group::ApiMessageRead, Group::ApiMessageWrite],
            service: Some(a_service()),
            client_ip: Some("203.0.113.7".parse().unwrap()),
            path_code: None,
            body: a_body(),
        }
    }
}

impl Case {
    pub fn with_body(body: Value) -> Self {
        Self { body, ..Self::default() }
    }

    pub fn admit(&self) -> Result<Admitted, Problem> {
        let body = serde_json::to_vec(&self.body).unwrap();
        let caller = Caller {
            account_id: &self.account_id,
            account_email: &self.account_email,
            subscription_id: "01JNDKQJM0THQ3F7T59F27VNZ4",
            groups: Groups::of(&self.groups),
        };
        admit(
            &Submission {
                caller,
                service: self.service.as_ref(),
                client_ip: self.client_ip,
                path_code: self.path_code.as_deref(),
                body: Body::Whole(&body),
            },
            &Lookups { pseudonym_of: &pseudonym_of, owner_of: &owner_of },
        )
    }
}

pub fn owner_of(configuration: &str) -> Option<String> {
    match configuration {
        OWN_CONFIGURATION => Some("account-1".to_owned()),
        FOREIGN_CONFIGURATION => Some("account-2".to_owned()),
        _ => None,
    }
}
