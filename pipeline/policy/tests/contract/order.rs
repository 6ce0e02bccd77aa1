//! The order of checks: with two faults at once the earlier one answers.

use policy::admit::group::Group;
use serde_json::{Value, json};

use crate::support::{
    Case, FOREIGN_CONFIGURATION, OTHER, OWN_CONFIGURATION, SANDBOX, a_body, pseudonym_of,
};

struct Fault {
    row: &'static str,
    spoil: fn(&mut Case),
    status: u16,
    title: &'static str,
    detail: &'static str,
}

const NOT_ALLOWED: &str = "You are not allowed here";

fn third_party(case: &mut Case, field: &str, value: Value) {
    let data = &mut case.body["content"]["third_party_data"];
    if data.is_null() {
        *data = json!({ "id": "doc-1", "configuration_id": OWN_CONFIGURATION });
    }
    data[field] = value;
    case.groups.push(Group::ApiThirdPartyMessageWrite);
}

fn pay(case: &mut Case, field: &str, value: Value) {
    let data = &mut case.body["content"]["payment_data"];
    if data.is_null() {
        *data = json!({ "amount": 1, "notice_number": "301000000012345678" });
    }
    data[field] = value;
}

fn faults() -> Vec<Fault> {
    let fault = |row, status, title, detail, spoil| Fault { row, spoil, status, title, detail };
    let spoils: Vec<Fault> = vec![
        fault("4", 403, "Anonymous user", "missing userId", |c| c.account_id.clear()),
        fault("5", 403, "User has no valid scopes", "scope", |c| {
            c.groups = vec![Group::ApiNoRateLimit];
        }),
        fault("6", 403, NOT_ALLOWED, "the operation", |c| c.groups = vec![Group::ApiMessageRead]),
        fault("7 email", 500, "Internal server error", "", |c| c.account_email = "nobody".into()),
        fault("7 service", 403, NOT_ALLOWED, "the operation", |c| c.service = None),
        fault("path form of a covid sender", 403, NOT_ALLOWED, "the operation", |c| {
            c.groups.push(Group::ApiMessageWriteEUCovidCert);
            c.path_code = Some(SANDBOX.into());
        }),
        fault("8", 400, "Invalid message structure", "root.content.subject", |c| {
            c.body["content"]["subject"] = json!("short");
        }),
        fault("9", 400, "Invalid string that matches the pattern \"^[A-Z]{6}", "[root]", |c| {
            c.path_code = Some("nobody".into());
        }),
        fault("10", 403, NOT_ALLOWED, "an EUCovidCert message", |c| {
            c.body["content"]["eu_covid_cert"] = json!({ "auth_code": "0000" });
        }),
        fault("11", 403, NOT_ALLOWED, "a payment message with payee", |c| {
            pay(c, "payee", json!({ "fiscal_code": "80002377770" }));
        }),
        fault("12", 403, NOT_ALLOWED, "a Premium message", |c| {
            c.body["feature_level_type"] = json!("ADVANCED");
        }),
        fault("13", 403, NOT_ALLOWED, "a third party message", |c| {
            third_party(c, "summary", json!("x"));
            c.groups.retain(|group| *group != Group::ApiThirdPartyMessageWrite);
        }),
        fault("14 unreadable", 500, "Internal server error", "address", |c| c.client_ip = None),
        fault("14 outside", 403, NOT_ALLOWED, "the operation", |c| {
            c.client_ip = Some("198.51.100.1".parse().unwrap());
        }),
        fault("15 neither", 400, "Bad parameters", "or in the payload", |c| {
            c.body["fiscal_code"].take();
            c.body.as_object_mut().unwrap().remove("fiscal_code");
            c.path_code = None;
        }),
        fault("15 both", 400, "Bad parameters", "but not in both", |c| {
            c.body["fiscal_code"] = json!(OTHER);
            c.path_code = Some(SANDBOX.into());
        }),
        fault("16", 403, "No configuration id for remote content", "third_party_data", |c| {
            third_party(c, "summary", json!("x"));
            let data = c.body["content"]["third_party_data"].as_object_mut().unwrap();
            data.remove("configuration_id");
        }),
        fault("17 unknown", 404, "Remote Content Configuration NOT FOUND", "", |c| {
            third_party(c, "configuration_id", json!("01ARZ3NDEKTSV4RRFFQ69G5FAZ"));
        }),
        fault("17 foreign", 403, "Not your configuration", "", |c| {
            third_party(c, "configuration_id", json!(FOREIGN_CONFIGURATION));
        }),
        fault("18", 403, "Attachments call forbidden", "ADVANCED", |c| {
            third_party(c, "has_attachments", json!(true));
        }),
        fault("19", 403, "Recipient forbidden", "recipient", |c| {
            c.groups.push(Group::ApiLimitedMessageWrite);
        }),
        fault("20", 400, "Error while sending payment metadata", "(2 cents)", |c| {
            pay(c, "amount", json!(2));
            if let Some(service) = &mut c.service {
                service.max_allowed_payment_amount = 1;
            }
        }),
    ];
    spoils
}

fn check(case: &Case, expected: &Fault, what: &str) {
    let problem = case.admit().expect_err(what);
    assert_eq!(problem.status, expected.status, "{what}: {problem:?}");
    assert!(problem.title.starts_with(expected.title), "{what}: {problem:?}");
    assert!(problem.detail.contains(expected.detail), "{what}: {}", problem.detail);
}

#[test]
fn a_request_without_fault_is_admitted() {
    assert!(Case::default().admit().is_ok());
}

#[test]
fn every_fault_alone_has_its_own_answer() {
    for fault in faults() {
        let mut case = Case::default();
        (fault.spoil)(&mut case);
        check(&case, &fault, fault.row);
    }
}

#[test]
fn of_any_two_faults_the_earlier_one_answers() {
    let faults = faults();
    for (later_at, later) in faults.iter().enumerate() {
        for earlier in &faults[..later_at] {
            // A recipient cannot be missing and given twice.
            if earlier.row == "15 neither" && later.row == "15 both" {
                continue;
            }
            let mut case = Case::default();
            (later.spoil)(&mut case);
            (earlier.spoil)(&mut case);
            check(&case, earlier, &format!("{} before {}", earlier.row, later.row));
        }
    }
}

#[test]
fn limited_wins_over_write_and_reaches_only_authorised_recipients() {
    let mut case = Case::default();
    case.groups.push(Group::ApiLimitedMessageWrite);
    assert_eq!(case.admit().unwrap_err().title, "Recipient forbidden");
    let code = policy::contract::FiscalCode::parse(SANDBOX).unwrap();
    case.service.as_mut().unwrap().authorized_recipients.insert(pseudonym_of(&code));
    assert!(case.admit().is_ok());
    case.groups.retain(|group| *group != Group::ApiMessageWrite);
    assert!(case.admit().is_ok(), "limited alone is enough");
}

#[test]
fn attachments_are_for_advanced_messages_and_the_third_party_gate_for_the_others() {
    let mut body = a_body();
    body["feature_level_type"] = json!("ADVANCED");
    body["content"]["third_party_data"] =
        json!({ "id": "x", "configuration_id": OWN_CONFIGURATION, "has_attachments": true });
    let mut case = Case::with_body(body);
    case.groups.push(Group::ApiMessageWriteAdvanced);
    assert!(case.admit().is_ok());
}

#[test]
fn the_path_form_is_admitted_without_a_code_in_the_body() {
    let mut case = Case::default();
    case.body.as_object_mut().unwrap().remove("fiscal_code");
    case.path_code = Some(OTHER.into());
    assert_eq!(case.admit().unwrap().recipient.as_str(), OTHER);
}
