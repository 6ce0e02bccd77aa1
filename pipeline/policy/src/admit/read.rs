//! Reading back: getMessage and getProfile.

use std::net::IpAddr;

use schemas::ids::{MessageId, Pseudonym, ServiceId};

use super::group::Group;
use super::service::Service;
use super::{Body, Caller, Problem, inside_networks, may_call, recipient_rule};
use crate::contract::FiscalCode;
use crate::contract::message::FeatureLevel;
use crate::contract::profile::{self, PROFILE_BODY};

/// getMessage before the message is looked up. `Ok((code, None))`: no id of ours, so no such message.
///
/// # Errors
/// The first refusal of: groups, service record, path code (400), empty id (400), network (403).
pub fn may_read_message(
    caller: &Caller,
    service: Option<&Service>,
    client_ip: Option<IpAddr>,
    path_code: &str,
    id: &str,
) -> Result<(FiscalCode, Option<MessageId>), Problem> {
    let service = may_call(caller, service, &[Group::ApiMessageRead])?;
    let code = path_code_of(path_code)?;
    let id = profile::decode_message_id(id)
        .map_err(|detail| Problem::new(400, "Invalid messageId", detail))?;
    inside_networks(service, client_ip)?;
    Ok((code, id))
}

/// Whose message was found; `None` when there is none with that id.
///
/// # Errors
/// 404 for no message and for another citizen's alike, then 403 for another sender's.
pub fn is_senders_own(
    caller: &Caller,
    asked_for: Pseudonym,
    found: Option<(Pseudonym, &ServiceId)>,
) -> Result<(), Problem> {
    match found {
        Some((citizen, sender)) if citizen == asked_for => {
            if sender.as_str() == caller.subscription_id {
                return Ok(());
            }
            Err(Problem::not_the_sender())
        }
        Some(_) | None => Err(Problem::message_not_found()),
    }
}

/// `read_status` and `payment_status` belong to an answer only if all three hold.
#[must_use]
pub fn may_see_advanced(caller: &Caller, level: FeatureLevel, is_pending: bool) -> bool {
    !is_pending
        && level == FeatureLevel::Advanced
        && caller.groups.has(Group::ApiMessageReadAdvanced)
}

/// Where getProfile finds the code.
#[derive(Clone, Copy)]
pub enum ProfileOf<'a> {
    Path(&'a str),
    Body(Body<'a>),
}

/// Whether a service without description, networks, privacy page or contact may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncompleteServices<'a> {
    Allowed,
    /// Refused unless named here, or for a code among the service's authorised recipients.
    Refused {
        except: &'a [ServiceId],
    },
}

/// getProfile before the profile is looked up.
///
/// # Errors
/// The first refusal of: groups, service record, code (400), network, recipient rule, complete service. The
/// last two are one and the same answer, so that a sandbox caller cannot learn who is registered.
pub fn may_read_profile(
    caller: &Caller,
    service: Option<&Service>,
    client_ip: Option<IpAddr>,
    of: ProfileOf,
    incomplete: IncompleteServices,
    pseudonym_of: &dyn Fn(&FiscalCode) -> Pseudonym,
) -> Result<Pseudonym, Problem> {
    let service = may_call(caller, service, &[Group::ApiLimitedProfileRead])?;
    let code = match of {
        ProfileOf::Path(text) => path_code_of(text)?,
        ProfileOf::Body(body) => body_code_of(body)?,
    };
    inside_networks(service, client_ip)?;
    let citizen = pseudonym_of(&code);
    recipient_rule(caller.groups, service, citizen).map_err(|_| Problem::recipient_forbidden())?;
    match incomplete {
        IncompleteServices::Refused { except }
            if !service.is_complete()
                && !except.contains(&service.service_id)
                && !service.authorized_recipients.contains(&citizen) =>
        {
            Err(Problem::recipient_forbidden())
        }
        IncompleteServices::Refused { .. } | IncompleteServices::Allowed => Ok(citizen),
    }
}

fn path_code_of(text: &str) -> Result<FiscalCode, Problem> {
    profile::decode_path_code(text)
        .map_err(|detail| Problem::new(400, profile::path_code_title(), detail))
}

fn body_code_of(body: Body) -> Result<FiscalCode, Problem> {
    let decoded = match body {
        Body::Whole(bytes) => profile::decode_body(bytes),
        Body::TooLong => Err("The body is longer than this server takes.".to_owned()),
        Body::TooSlow => Err("The body did not arrive in time.".to_owned()),
    };
    decoded.map_err(|detail| Problem::new(400, format!("Invalid {}", PROFILE_BODY.name), detail))
}
