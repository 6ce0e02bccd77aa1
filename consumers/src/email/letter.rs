//! A letter as a mail: headers, two parts, signatures. Only place that says `lettre`.

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{Date, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use schemas::ids::{MessageId, Timestamp};
use sealing::Tokens;

use super::config::EmailConfig;
use super::dialogue::Envelope;
use super::dkim::Signer;
use super::template::{self, Written};
use super::validation::ValidationLetter;
use crate::channel::{Letter, Words};
use crate::gate::{EdgeError, Keys};
use crate::wording::Language;

/// What is the same in every mail.
pub(super) struct Stationery {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    link: String,
    unsubscribe_url: String,
    validation_url: String,
    validation_life_hours: u64,
    bounce_domain: String,
    signers: Vec<Signer>,
}

/// A mail ready to go. `text` is ASCII with CR LF, signed as it is.
pub(super) struct Mail {
    pub envelope: Envelope,
    pub text: Vec<u8>,
}

/// What differs from mail to mail, beside its words.
struct Sheet<'a> {
    id: MessageId,
    address: &'a str,
    language: Language,
    unsubscribe: Option<&'a str>,
}

/// The letter's address is none that a mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadAddress;

impl Stationery {
    pub(super) fn open(config: &EmailConfig, keys: Keys) -> Result<Self, EdgeError> {
        let mailbox = |key: &str, text: &str| {
            let parsed: Result<Mailbox, _> = text.parse();
            parsed.map_err(|_| keys.bad(key, format!("{text:?} is not of the form Name <address>")))
        };
        let reply_to = if config.reply_to.is_empty() {
            None
        } else {
            Some(mailbox("reply_to", &config.reply_to)?)
        };
        let mut urls = vec![("link", &config.link), ("unsubscribe_url", &config.unsubscribe_url)];
        if !config.validation_url.is_empty() {
            urls.push(("validation_url", &config.validation_url));
        }
        if config.validation_life_hours < 2 {
            return Err(keys.bad("validation_life_hours", "is below 2"));
        }
        for (key, url) in urls {
            let is_plain =
                url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
            if !url.starts_with("https://") || !is_plain {
                return Err(
                    keys.bad(key, format!("{url:?} is not a URL that begins with https://"))
                );
            }
        }
        let domain = &config.bounce_domain;
        if Address::new("b", domain).is_err() || !domain.is_ascii() {
            return Err(keys.bad("bounce_domain", format!("{domain:?} is not a domain")));
        }
        let first = Signer::open(&config.dkim, "dkim", keys)?;
        let second = Signer::open(&config.dkim_second, "dkim_second", keys)?;
        Ok(Self {
            from: mailbox("from", &config.from)?,
            reply_to,
            link: config.link.clone(),
            unsubscribe_url: config.unsubscribe_url.trim_end_matches('/').to_owned(),
            validation_url: config.validation_url.trim_end_matches('/').to_owned(),
            validation_life_hours: config.validation_life_hours,
            bounce_domain: domain.clone(),
            signers: first.into_iter().chain(second).collect(),
        })
    }

    pub(super) fn is_signed(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Whether it is known where a validation's link leads.
    pub(super) fn writes_validations(&self) -> bool {
        !self.validation_url.is_empty()
    }

    /// `Message-ID` of the one mail under this id to this address.
    pub(super) fn message_id(&self, id: MessageId, address: &str, tokens: &Tokens) -> String {
        tokens.message_id_header(id, address, self.from.email.domain())
    }

    pub(super) fn mail(
        &self,
        letter: &Letter,
        tokens: &Tokens,
        now: Timestamp,
    ) -> Result<Mail, BadAddress> {
        let token = tokens.unsubscribe(letter.citizen, &letter.service_id);
        let unsubscribe = format!("{}/{token}", self.unsubscribe_url);
        let language = Language::of(&letter.language);
        let written = match &letter.words {
            Words::Message(content) => template::message(content, language, &unsubscribe),
            // Whoever is on board reads the message in the inbox, whatever may be said of it.
            Words::Anonymous | Words::Full(_) => {
                template::notice(language, &self.link, &unsubscribe)
            }
        };
        let unsubscribe = Some(unsubscribe.as_str());
        let sheet =
            Sheet { id: letter.message_id, address: &letter.address, language, unsubscribe };
        self.finished(&sheet, written, tokens, now)
    }

    /// The citizen asked for it themselves, so there is nothing to unsubscribe from.
    pub(super) fn validation(
        &self,
        letter: &ValidationLetter,
        tokens: &Tokens,
        now: Timestamp,
    ) -> Result<Mail, BadAddress> {
        let language = Language::of(&letter.language);
        let link = format!("{}/{}", self.validation_url, letter.token);
        let written = template::validation(language, &link, self.validation_life_hours);
        let sheet = Sheet { id: letter.id, address: &letter.address, language, unsubscribe: None };
        self.finished(&sheet, written, tokens, now)
    }

    fn finished(
        &self,
        sheet: &Sheet<'_>,
        Written { subject, text, html }: Written,
        tokens: &Tokens,
        now: Timestamp,
    ) -> Result<Mail, BadAddress> {
        let to = address(sheet.address)?;
        let bounce = tokens.bounce(sheet.id);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(subject)
            .header(Date::from(moment(now)))
            .message_id(Some(self.message_id(sheet.id, sheet.address, tokens)))
            .raw_header(field("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(field("Content-Language", sheet.language.tag().to_owned()));
        if let Some(unsubscribe) = sheet.unsubscribe {
            builder = builder
                .raw_header(field("List-Unsubscribe", format!("<{unsubscribe}>")))
                .raw_header(field(
                    "List-Unsubscribe-Post",
                    "List-Unsubscribe=One-Click".to_owned(),
                ));
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let parts = MultiPart::alternative_plain_html(text, html);
        // From and To are there, so nothing is missing.
        let message = builder.multipart(parts).map_err(|_| BadAddress)?;
        let from = format!("b+{bounce}@{}", self.bounce_domain);
        let envelope = Envelope { from, to: to.to_string(), id: bounce };
        Ok(Mail { envelope, text: self.signed(message.formatted(), now) })
    }

    /// Each signature covers the mail as it was written; the order among signatures means nothing.
    fn signed(&self, text: Vec<u8>, now: Timestamp) -> Vec<u8> {
        let signatures: String =
            self.signers.iter().filter_map(|signer| signer.sign(&text, now)).collect();
        [signatures.into_bytes(), text].concat()
    }
}

/// ASCII before the `@`, a domain in its ASCII form behind it (RFC 5890). Mailboxes beyond ASCII are
/// refused at the door; should one get here, no server on the way need understand it (RFC 6531).
fn address(text: &str) -> Result<Address, BadAddress> {
    let (user, domain) = text.rsplit_once('@').ok_or(BadAddress)?;
    let domain = idna::domain_to_ascii(domain).map_err(|_| BadAddress)?;
    let is_plain = user.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte));
    if !is_plain || !domain.is_ascii() {
        return Err(BadAddress);
    }
    Address::new(user, domain).map_err(|_| BadAddress)
}

/// A field whose value is ours: graphic ASCII, never longer than a line may be (998), never folded,
/// because a URL must not be torn.
fn field(name: &'static str, value: String) -> HeaderValue {
    debug_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

fn moment(now: Timestamp) -> SystemTime {
    let seconds = u64::try_from(now.0.div_euclid(1_000)).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod laws;
