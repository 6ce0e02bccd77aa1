//! Why was this request refused at the door? Every rule of the sender API, as pure functions of facts.
//!
//! The first failing check answers, in IO's order; the number in a comment is the row of that order. What
//! needs the network (the key, the rate, the append) is the shell's; what decides is here.

pub mod cidr;
pub mod group;
pub mod problem;
pub mod projection;
pub mod rate;
pub mod read;
pub mod service;
pub mod service_file;

use std::net::IpAddr;

use schemas::ids::Pseudonym;

use crate::contract::message::{self, Content, NewMessage, Payee};
use crate::contract::{FeatureLevel, FiscalCode, profile};
use group::{Group, Groups};
pub use problem::Problem;
use service::{SecureChannels, Service};

/// Who calls, as the key tells. An empty text means that the gateway could not say.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub account_id: &'a str,
    pub account_email: &'a str,
    /// The subscription: the id of the service whose key it is.
    pub subscription_id: &'a str,
    pub groups: Groups,
}

impl<'a> Caller<'a> {
    /// The caller behind one of the keys of `service`.
    #[must_use]
    pub fn of(service: &'a Service) -> Self {
        Self {
            account_id: &service.account.account_id,
            account_email: &service.account.email,
            subscription_id: service.service_id.as_str(),
            groups: service.groups,
        }
    }
}

/// A body as it arrived.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Whole(&'a [u8]),
    /// Longer than the limit: cut, not kept.
    TooLong,
    /// Not complete within its time.
    TooSlow,
}

/// A request to send, before anything about it is believed.
#[derive(Clone, Copy)]
pub struct Submission<'a> {
    pub caller: Caller<'a>,
    /// `None`: the key is known but its service record is gone.
    pub service: Option<&'a Service>,
    /// `None`: not readable from the headers of a trusted proxy.
    pub client_ip: Option<IpAddr>,
    /// The code in the path form.
    pub path_code: Option<&'a str>,
    pub body: Body<'a>,
}

/// What the shell knows and this module may not compute.
#[derive(Clone, Copy)]
pub struct Lookups<'a> {
    pub pseudonym_of: &'a (dyn Fn(&FiscalCode) -> Pseudonym + Sync),
    /// The account that owns a remote-content configuration.
    pub owner_of: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// A message that may be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    pub recipient: FiscalCode,
    pub citizen: Pseudonym,
    /// Seconds.
    pub time_to_live: u32,
    pub feature_level: FeatureLevel,
    /// As sent, with the organisation filled in as payee where the sender named none.
    pub content: Content,
    pub channels: SecureChannels,
    /// The sender's address for somebody not on board: only from accounts that may give one, and only
    /// where secure channels are not required. Otherwise ignored silently, as IO does.
    pub fallback_email: Option<String>,
}

/// Rows 4 to 20 of the order of checks.
///
/// # Errors
/// The first refusal in that order.
pub fn admit(request: &Submission, lookups: &Lookups) -> Result<Admitted, Problem> {
    let service = may_write(&request.caller, request.service)?;
    let path_form = request.path_code.is_some();
    // The gateway gives these accounts' body form to another back end and refuses the path form.
    if path_form && request.caller.groups.has(Group::ApiMessageWriteEUCovidCert) {
        return Err(Problem::not_allowed());
    }
    let message = decoded(request.body)?; // 8
    let path_code = request // 9
        .path_code
        .map(profile::decode_path_code)
        .transpose()
        .map_err(|detail| Problem::new(400, profile::path_code_title(), detail))?;
    gates(&message, request.caller.groups)?; // 10 to 13
    inside_networks(service, request.client_ip)?; // 14
    let recipient = match (path_code, message.fiscal_code) {
        // 15
        (Some(_), Some(_)) => return Err(Problem::recipient_in_both()),
        (None, None) => return Err(Problem::recipient_in_neither()),
        (Some(code), None) | (None, Some(code)) => code,
    };
    remote_content(&message, request.caller.account_id, lookups.owner_of)?; // 16 to 18
    let citizen = (lookups.pseudonym_of)(&recipient);
    recipient_rule(request.caller.groups, service, citizen)?; // 19
    amount_rule(&message.content, service)?; // 20
    Ok(admitted(message, recipient, citizen, service, request.caller.groups))
}

/// Rows 4 to 7 for a caller who wants to write.
///
/// # Errors
/// The first refusal in that order.
pub fn may_write<'a>(
    caller: &Caller,
    service: Option<&'a Service>,
) -> Result<&'a Service, Problem> {
    may_call(caller, service, &[Group::ApiMessageWrite, Group::ApiLimitedMessageWrite])
}

/// Rows 4 to 7: a known user with a scope, in one of `groups`, with a mailbox and a service record.
fn may_call<'a>(
    caller: &Caller,
    service: Option<&'a Service>,
    groups: &[Group],
) -> Result<&'a Service, Problem> {
    if caller.account_id.is_empty() || caller.subscription_id.is_empty() {
        return Err(Problem::anonymous()); // 4
    }
    if !caller.groups.has_scope() {
        return Err(Problem::no_scopes()); // 5
    }
    if !groups.iter().any(|group| caller.groups.has(*group)) {
        return Err(Problem::not_allowed()); // 6
    }
    if !crate::contract::text::is_email(caller.account_email) {
        return Err(Problem::internal("The account's e-mail address is not valid.")); // 7
    }
    service.ok_or_else(Problem::not_allowed) // 7
}

fn decoded(body: Body) -> Result<NewMessage, Problem> {
    let decoded = match body {
        Body::Whole(bytes) => message::decode(bytes),
        Body::TooLong => Err(message::detail_of_unread_body("is longer than this server takes")),
        Body::TooSlow => Err(message::detail_of_unread_body("did not arrive in time")),
    };
    decoded.map_err(Problem::invalid_message)
}

fn gates(message: &NewMessage, groups: Groups) -> Result<(), Problem> {
    let content = &message.content;
    let advanced = message.feature_level == FeatureLevel::Advanced;
    let names_payee = content.payment_data.as_ref().is_some_and(|data| data.payee.is_some());
    let third_party = content.third_party_data.is_some() && !advanced;
    for (applies, needed, what) in [
        (
            content.eu_covid_cert.is_some(),
            Group::ApiMessageWriteEUCovidCert,
            "an EUCovidCert message",
        ),
        (names_payee, Group::ApiMessageWriteWithPayee, "a payment message with payee"),
        (advanced, Group::ApiMessageWriteAdvanced, "a Premium message"),
        (third_party, Group::ApiThirdPartyMessageWrite, "a third party message"),
    ] {
        if applies && !groups.has(needed) {
            return Err(Problem::gate(what));
        }
    }
    Ok(())
}

fn inside_networks(service: &Service, client_ip: Option<IpAddr>) -> Result<(), Problem> {
    let address =
        client_ip.ok_or_else(|| Problem::internal("The client's address is not readable."))?;
    if cidr::is_inside(&service.authorized_cidrs, address) {
        return Ok(());
    }
    Err(Problem::not_allowed())
}

fn remote_content(
    message: &NewMessage,
    account_id: &str,
    owner_of: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Problem> {
    let Some(data) = &message.content.third_party_data else { return Ok(()) };
    let id = data.configuration_id.as_deref().ok_or_else(Problem::no_configuration_id)?;
    let owner = owner_of(id).ok_or_else(Problem::configuration_not_found)?;
    if owner != account_id {
        return Err(Problem::not_your_configuration());
    }
    if data.has_attachments && message.feature_level != FeatureLevel::Advanced {
        return Err(Problem::attachments());
    }
    Ok(())
}

/// Whom an account may write to. *Limited* wins where an account is in both groups.
fn recipient_rule(groups: Groups, service: &Service, citizen: Pseudonym) -> Result<(), Problem> {
    if groups.has(Group::ApiLimitedMessageWrite) {
        if service.authorized_recipients.contains(&citizen) {
            return Ok(());
        }
        return Err(Problem::recipient_forbidden());
    }
    if groups.has(Group::ApiMessageWrite) { Ok(()) } else { Err(Problem::production_forbidden()) }
}

fn amount_rule(content: &Content, service: &Service) -> Result<(), Problem> {
    let allowed = service.max_allowed_payment_amount;
    match &content.payment_data {
        Some(data) if data.amount > allowed => Err(Problem::amount(data.amount, allowed)),
        Some(_) | None => Ok(()),
    }
}

fn admitted(
    message: NewMessage,
    recipient: FiscalCode,
    citizen: Pseudonym,
    service: &Service,
    groups: Groups,
) -> Admitted {
    let mut content = message.content;
    if let Some(data) = &mut content.payment_data {
        // Published clients cannot read a payment without payee, so it is there from the start.
        data.payee
            .get_or_insert_with(|| Payee { fiscal_code: service.organisation.fiscal_code.clone() });
    }
    let channels = service.secure_channels(content.require_secure_channels);
    let may_fall_back = groups.has(Group::ApiMessageWriteDefaultAddress) && channels.email_allowed;
    Admitted {
        recipient,
        citizen,
        time_to_live: message.time_to_live,
        feature_level: message.feature_level,
        content,
        channels,
        fallback_email: message.default_email.filter(|_| may_fall_back),
    }
}
