//! Every line of the file of bad messages gets its expected answer; the gateway's 401 is the shell's.

use std::collections::HashMap;

use policy::admit::service_file::{self, Entry};
use policy::admit::{Body, Caller, Lookups, Submission, admit};
use serde_json::Value;

use crate::support::pseudonym_of;

const SERVICES: &str = include_str!("../../../data/services.json");
const CASES: &str = include_str!("../../../data/bad-messages.ndjson");

fn body_of(case: &Value) -> Vec<u8> {
    if let Some(body) = case.get("body") {
        return serde_json::to_vec(body).unwrap();
    }
    if let Some(text) = case.get("body_text") {
        return text.as_str().unwrap().as_bytes().to_vec();
    }
    if let Some(parts) = case.get("body_parts") {
        let part = |part: &Value| {
            let times = usize::try_from(part[1].as_u64().unwrap()).unwrap();
            part[0].as_str().unwrap().repeat(times)
        };
        return parts.as_array().unwrap().iter().map(part).collect::<String>().into_bytes();
    }
    base64(case["body_base64"].as_str().unwrap())
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter_map(|b| alphabet.iter().position(|a| *a == b)) {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}

fn owner_of(services: &[Entry], configuration: &str) -> Option<String> {
    let owns = |entry: &&Entry| {
        entry.service.remote_content_configurations.iter().any(|id| id == configuration)
    };
    services.iter().find(owns).map(|entry| entry.service.account.account_id.clone())
}

#[test]
fn every_bad_message_gets_its_expected_status_and_title() {
    let services = service_file::read(SERVICES, &pseudonym_of).unwrap();
    let by_key: HashMap<&str, &Entry> = services
        .iter()
        .flat_map(|e| [(e.keys.primary.as_str(), e), (e.keys.secondary.as_str(), e)])
        .collect();
    let (mut seen, mut gateway) = (0, 0);
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["case"].as_str().unwrap();
        let expected = &case["expected"];
        seen += 1;
        let header = |wanted: &str| {
            let headers = case["headers"].as_object().unwrap();
            let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.and_then(|(_, value)| value.as_str())
        };
        let entry = header("Ocp-Apim-Subscription-Key").and_then(|key| by_key.get(key));
        let Some(entry) = entry else {
            assert_eq!(expected["status"], 401, "{name}");
            gateway += 1;
            continue;
        };
        let path = case["path"].as_str().unwrap();
        let path_code = path.strip_prefix("/api/v1/messages").unwrap().trim_matches('/');
        let client_ip = case["client_ip"].as_str().unwrap_or("127.0.0.1");
        let body = body_of(&case);
        let answer = admit(
            &Submission {
                caller: Caller::of(&entry.service),
                service: Some(&entry.service),
                client_ip: Some(client_ip.parse().unwrap()),
                path_code: (!path_code.is_empty()).then_some(path_code),
                body: Body::Whole(&body),
            },
            &Lookups {
                pseudonym_of: &pseudonym_of,
                owner_of: &|configuration| owner_of(&services, configuration),
            },
        );
        let (status, title, detail) = match answer {
            Ok(_) => (201, String::new(), String::new()),
            Err(p) => (p.status, p.title.into_owned(), p.detail.into_owned()),
        };
        let also = expected["or_status"].as_array().cloned().unwrap_or_default();
        assert!(expected["status"] == status || also.contains(&status.into()), "{name}: {status}");
        if expected["status"] == status {
            let wanted = expected["title"].as_str().unwrap_or_default();
            assert!(title.starts_with(wanted), "{name}: {title}");
            let wanted = expected["detail_contains"].as_str().unwrap_or_default();
            assert!(detail.contains(wanted), "{name}: {detail}");
        }
    }
    assert_eq!((seen, gateway), (243, 7));
}
