//! getMessage and getProfile: who may see what, in which order.

use std::net::IpAddr;

use policy::admit::group::{Group, Groups};
use policy::admit::read::{
    IncompleteServices, ProfileOf, is_senders_own, may_read_message, may_read_profile,
    may_see_advanced,
};
use policy::admit::service::Service;
use policy::admit::{Body, Caller};
use policy::contract::{FeatureLevel, FiscalCode};
use schemas::ids::ServiceId;

use crate::support::{OTHER, SANDBOX, a_service, pseudonym_of};

const ID: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";

fn inside() -> Option<IpAddr> {
    Some("203.0.113.7".parse().unwrap())
}

fn code(text: &str) -> FiscalCode {
    FiscalCode::parse(text).unwrap()
}

#[test]
fn get_message_checks_group_then_code_then_id_then_network() {
    let service = a_service();
    let none = Caller { groups: Groups::of(&[Group::ApiInfoRead]), ..Caller::of(&service) };
    let outside = Some("198.51.100.1".parse().unwrap());
    let answer = |caller: &Caller, ip, code: &str, id: &str| {
        may_read_message(caller, Some(&service), ip, code, id).map_err(|p| (p.status, p.title))
    };
    let caller = Caller::of(&service);
    assert_eq!(answer(&none, outside, "x", "").unwrap_err().1, "You are not allowed here");
    assert!(answer(&caller, outside, "x", "").unwrap_err().1.starts_with("Invalid string"));
    assert_eq!(answer(&caller, outside, SANDBOX, "").unwrap_err().1, "Invalid messageId");
    assert_eq!(answer(&caller, outside, SANDBOX, ID).unwrap_err().0, 403);
    assert_eq!(answer(&caller, inside(), SANDBOX, ID), Ok((code(SANDBOX), ID.parse().ok())));
    assert_eq!(answer(&caller, inside(), SANDBOX, "x"), Ok((code(SANDBOX), None)));
}

#[test]
fn another_citizens_message_is_not_found_and_another_senders_is_forbidden() {
    let service = a_service();
    let caller = Caller::of(&service);
    let (mine, other) = (service.service_id.clone(), ServiceId::from("other"));
    let (asked, wrong) = (pseudonym_of(&code(SANDBOX)), pseudonym_of(&code(OTHER)));
    let status = |found| is_senders_own(&caller, asked, found).map_err(|p| p.status);
    assert_eq!(status(None), Err(404));
    assert_eq!(status(Some((wrong, &mine))), Err(404));
    assert_eq!(status(Some((wrong, &other))), Err(404));
    assert_eq!(status(Some((asked, &other))), Err(403));
    assert_eq!(status(Some((asked, &mine))), Ok(()));
}

#[test]
fn advanced_fields_need_the_group_an_advanced_message_and_an_end_of_pending() {
    let service = a_service();
    let plain = Caller::of(&service);
    let reader =
        Caller { groups: Groups::of(&[Group::ApiMessageReadAdvanced]), ..Caller::of(&service) };
    assert!(may_see_advanced(&reader, FeatureLevel::Advanced, false));
    assert!(!may_see_advanced(&reader, FeatureLevel::Advanced, true));
    assert!(!may_see_advanced(&reader, FeatureLevel::Standard, false));
    assert!(!may_see_advanced(&plain, FeatureLevel::Advanced, false));
}

fn profile(service: &Service, of: ProfileOf, incomplete: IncompleteServices) -> Result<(), String> {
    let caller = Caller::of(service);
    may_read_profile(&caller, Some(service), inside(), of, incomplete, &pseudonym_of)
        .map(|_| ())
        .map_err(|problem| problem.title.into_owned())
}

#[test]
fn both_forms_of_get_profile_answer_alike() {
    let service = a_service();
    let body = format!("{{\"fiscal_code\":\"{SANDBOX}\"}}");
    for of in [ProfileOf::Path(SANDBOX), ProfileOf::Body(Body::Whole(body.as_bytes()))] {
        assert_eq!(profile(&service, of, IncompleteServices::Allowed), Ok(()));
    }
    let wrong = profile(&service, ProfileOf::Body(Body::Whole(b"")), IncompleteServices::Allowed);
    assert_eq!(wrong, Err("Invalid GetLimitedProfileByPOSTPayload".to_owned()));
    let wrong = profile(&service, ProfileOf::Path("x"), IncompleteServices::Allowed);
    assert!(wrong.unwrap_err().starts_with("Invalid string that matches"));
}

#[test]
fn every_failure_of_the_recipient_rule_reads_recipient_forbidden() {
    for groups in [
        vec![Group::ApiLimitedProfileRead],
        vec![Group::ApiLimitedProfileRead, Group::ApiLimitedMessageWrite],
    ] {
        let mut service = a_service();
        service.groups = Groups::of(&groups);
        let answer = profile(&service, ProfileOf::Path(SANDBOX), IncompleteServices::Allowed);
        assert_eq!(answer, Err("Recipient forbidden".to_owned()), "{groups:?}");
    }
}

#[test]
fn an_incomplete_service_may_ask_only_where_the_flag_the_list_or_the_recipient_allows() {
    let path = ProfileOf::Path(SANDBOX);
    let refused = IncompleteServices::Refused { except: &[] };
    assert_eq!(profile(&a_service(), path, refused), Ok(()));
    for spoil in [
        |s: &mut Service| s.description.clear(),
        |s: &mut Service| s.metadata.privacy_url = None,
        |s: &mut Service| s.metadata.email = Some(String::new()),
        |s: &mut Service| s.authorized_cidrs.clear(),
    ] {
        let mut service = a_service();
        spoil(&mut service);
        assert_eq!(profile(&service, path, refused), Err("Recipient forbidden".to_owned()));
        assert_eq!(profile(&service, path, IncompleteServices::Allowed), Ok(()));
        let listed = [service.service_id.clone()];
        let listed = IncompleteServices::Refused { except: &listed };
        assert_eq!(profile(&service, path, listed), Ok(()));
        service.authorized_recipients.insert(pseudonym_of(&code(SANDBOX)));
        assert_eq!(profile(&service, path, refused), Ok(()));
    }
}

#[test]
fn a_service_document_reads_back_and_holds_neither_keys_nor_recipients_in_clear() {
    let text = include_str!("../../../data/services.json");
    for entry in policy::admit::service_file::read(text, &pseudonym_of).unwrap() {
        let key = entry.keys.primary.clone();
        let document = entry.into_document(&|_| "0".repeat(64));
        let written = serde_json::to_string(&document).unwrap();
        assert!(!written.contains(&key) && !written.contains(SANDBOX));
        let read: policy::admit::service::ServiceDocument = serde_json::from_str(&written).unwrap();
        assert_eq!(read, document);
    }
}
