//! The last value inside each limit and the first outside, and what becomes of odd but valid bodies.

use policy::admit::group::Group;
use policy::contract::message::decode;
use schemas::ids::Timestamp;
use serde_json::{Value, json};

use crate::support::{Case, a_body, a_service};

fn check(pointer: &str, value: Value, taken: bool) {
    let mut body = a_body();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[field] = value.clone();
    let decoded = decode(&serde_json::to_vec(&body).unwrap());
    let shown: String = value.to_string().chars().take(40).collect();
    assert_eq!(decoded.is_ok(), taken, "{pointer} = {shown}");
    if !taken {
        let path = pointer.replace('/', ".");
        assert!(decoded.unwrap_err().contains(&format!("at root{path}")), "{pointer} = {shown}");
    }
}

#[test]
fn texts_are_measured_in_utf16_units() {
    for (field, low, high) in [("/content/subject", 10, 120), ("/content/markdown", 80, 10_000)] {
        for sign in ["a", "è", "🦊"] {
            let units = sign.encode_utf16().count();
            check(field, json!(sign.repeat(low / units - 1)), false);
            check(field, json!(sign.repeat(low / units)), true);
            check(field, json!(sign.repeat(high / units)), true);
            check(field, json!(sign.repeat(high / units + 1)), false);
        }
        check(field, json!("a".to_owned() + &"🦊".repeat(high / 2)), false);
        check(field, Value::Null, false);
    }
}

#[test]
fn time_to_live_is_a_whole_number_of_seconds_in_its_range() {
    for (value, taken) in [
        (json!(3599), false),
        (json!(3600), true),
        (json!(604_800), true),
        (json!(604_801), false),
        (json!(3600.0), true),
        (json!(3600.5), false),
        (json!(-3600), false),
        (json!("3600"), false),
        (json!(true), false),
        (json!(1e30), false),
        (Value::Null, true),
    ] {
        check("/time_to_live", value, taken);
    }
}

#[test]
fn amounts_need_more_than_32_bits() {
    for (amount, taken) in
        [(0_u64, false), (1, true), (9_999_999_999, true), (10_000_000_000, false)]
    {
        let data = json!({ "amount": amount, "notice_number": "301000000012345678" });
        let mut body = a_body();
        body["content"]["payment_data"] = data;
        assert_eq!(decode(&serde_json::to_vec(&body).unwrap()).is_ok(), taken, "{amount}");
    }
}

#[test]
fn null_means_the_default_where_there_is_one_and_is_refused_elsewhere() {
    check("/feature_level_type", Value::Null, true);
    check("/time_to_live", Value::Null, true);
    for pointer in [
        "/fiscal_code",
        "/default_addresses",
        "/content/due_date",
        "/content/require_secure_channels",
        "/content/payment_data",
        "/content/third_party_data",
        "/content/eu_covid_cert",
        "/content/prescription_data",
        "/content/legal_data",
    ] {
        check(pointer, Value::Null, false);
    }
}

#[test]
fn prescription_and_legal_data_are_accepted_and_kept() {
    let mut body = a_body();
    body["content"]["prescription_data"] = json!({ "nre": "1".repeat(15), "iup": "1" });
    body["content"]["legal_data"] =
        json!({ "sender_mail_from": "a", "message_unique_id": "b", "has_attachment": null });
    let message = decode(&serde_json::to_vec(&body).unwrap()).unwrap();
    assert!(message.content.prescription_data.is_some());
    assert!(!message.content.legal_data.unwrap().has_attachment);
}

#[test]
fn dates_are_kept_in_canonical_form_and_unknown_properties_dropped() {
    let mut body = a_body();
    body["content"]["due_date"] = json!("2026-02-30T00:00:00.1239+01:00");
    body["content"]["colour"] = json!("red");
    let content = decode(&serde_json::to_vec(&body).unwrap()).unwrap().content;
    assert_eq!(content.due_date, Some(Timestamp(1_772_406_000_123)));
    let written = serde_json::to_value(&content).unwrap();
    assert_eq!(written["due_date"], "2026-03-01T23:00:00.123Z");
    assert_eq!(written.get("colour"), None);
    assert_eq!(serde_json::from_value::<policy::contract::Content>(written).unwrap(), content);
}

#[test]
fn a_detail_has_ios_line_for_each_error_and_then_a_sentence_for_people() {
    let mut body = a_body();
    body["content"]["subject"] = json!("subject");
    body["time_to_live"] = json!("3600");
    let detail = decode(&serde_json::to_vec(&body).unwrap()).unwrap_err();
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!(
        lines[0],
        "value \"subject\" at root.content.subject is not a valid \
         [string of length >= 10 and < 121]"
    );
    assert_eq!(
        lines[1],
        "value \"3600\" at root.time_to_live is not a valid \
         [(integer >= 3600 and < 604800 | 604800)]"
    );
    assert!(lines[2].contains("10 to 120 characters"), "{detail}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_body_that_is_no_json_is_undefined() {
    let detail = decode(b"{").unwrap_err();
    assert!(detail.starts_with("value undefined at root is not a valid [Exact<NewMessage>]"));
}

#[test]
fn a_detail_quotes_a_huge_value_only_in_part() {
    let mut body = a_body();
    body["content"]["subject"] = json!("🦊".repeat(100_000));
    let detail = decode(&serde_json::to_vec(&body).unwrap()).unwrap_err();
    assert!(detail.len() < 2_000, "{}", detail.len());
}

#[test]
fn a_missing_payee_is_the_organisation_and_a_given_one_is_kept() {
    let mut case = Case::default();
    case.body["content"]["payment_data"] =
        json!({ "amount": 1, "notice_number": "301000000012345678" });
    let payee = |case: &Case| {
        case.admit().unwrap().content.payment_data.unwrap().payee.unwrap().fiscal_code
    };
    assert_eq!(payee(&case), "80001017773");
    case.body["content"]["payment_data"]["payee"] = json!({ "fiscal_code": "80002377770" });
    case.groups.push(Group::ApiMessageWriteWithPayee);
    assert_eq!(payee(&case), "80002377770");
}

#[test]
fn the_secure_channel_matrix_decides_email_and_full_notices() {
    for (of_service, of_message, email_allowed, full_notice) in [
        (false, None, true, true),
        (false, Some(false), true, true),
        (false, Some(true), false, false),
        (true, None, false, false),
        (true, Some(false), true, false),
        (true, Some(true), false, false),
    ] {
        let mut service = a_service();
        service.require_secure_channels = of_service;
        let channels = service.secure_channels(of_message);
        let found = (channels.email_allowed, channels.full_notice);
        assert_eq!(found, (email_allowed, full_notice), "{of_service} {of_message:?}");
    }
}

#[test]
fn a_fallback_address_needs_the_group_and_no_secure_channels() {
    let mut case = Case::default();
    case.body["default_addresses"] = json!({ "email": "a@example.com" });
    assert_eq!(case.admit().unwrap().fallback_email, None);
    case.groups.push(Group::ApiMessageWriteDefaultAddress);
    assert_eq!(case.admit().unwrap().fallback_email.as_deref(), Some("a@example.com"));
    case.body["content"]["require_secure_channels"] = json!(true);
    assert_eq!(case.admit().unwrap().fallback_email, None);
}

#[test]
fn nothing_that_names_a_person_is_printed() {
    let admitted = Case::default().admit().unwrap();
    let shown = format!("{admitted:?}");
    assert!(!shown.contains("AAAAAA00A00A000A") && !shown.contains("Comunicazione"), "{shown}");
    let problem = Case::with_body(json!({ "fiscal_code": "aaaaaa00a00a000a" })).admit();
    assert!(!format!("{problem:?}").contains("aaaaaa00a00a000a"));
}
