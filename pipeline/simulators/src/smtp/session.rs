//! One SMTP session, without a socket: lines in, replies out.

use std::sync::Arc;
use std::time::Duration;

use super::auth::{self, Exchange, Verdict};
use super::message::{self, Dotted, Text};
use super::path;
use super::script::{Scripted, Scripts};
use crate::config::Credentials;
use crate::control::Controls;
use crate::ids;
use crate::journal::{Journal, Received};

/// The least that a server must take (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;
/// Postfix's `smtpd_hard_error_limit`.
const ERRORS_MAX: u32 = 20;

/// What all sessions share.
pub(super) struct Rules {
    pub(super) scripts: Scripts,
    pub(super) controls: Arc<Controls>,
    pub(super) journal: Arc<Journal>,
    pub(super) credentials: Option<Credentials>,
    pub(super) max_bytes: usize,
    pub(super) messages_max: u64,
    pub(super) slow: Duration,
}

/// A reply and what comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Lines without their ends; none says nothing.
    pub(super) reply: Option<String>,
    pub(super) after: Duration,
    pub(super) next: Next,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Command,
    StartTls,
    Credentials(Exchange),
    Data,
    Close,
}

impl Step {
    fn new(reply: impl Into<String>, next: Next) -> Step {
        Step { reply: Some(reply.into()), after: Duration::ZERO, next }
    }

    fn say(reply: impl Into<String>) -> Step {
        Step::new(reply, Next::Command)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    None,
    Helo,
    Ehlo,
}

#[derive(Default)]
struct Envelope {
    from: String,
    recipients: Vec<String>,
    parameters: Vec<String>,
    is_utf8: bool,
    is_slow: bool,
    closes_at_dot: bool,
}

pub(super) struct Session {
    rules: Arc<Rules>,
    number: u64,
    is_encrypted: bool,
    is_authenticated: bool,
    greeting: Greeting,
    envelope: Option<Envelope>,
    messages: u64,
    errors: u32,
}

impl Session {
    pub(super) fn new(rules: Arc<Rules>, number: u64) -> Session {
        Session {
            rules,
            number,
            is_encrypted: false,
            is_authenticated: false,
            greeting: Greeting::None,
            envelope: None,
            messages: 0,
            errors: 0,
        }
    }

    pub(super) fn greet(&mut self) -> Step {
        self.scripted("connect").unwrap_or_else(|| Step::say("220 localhost ESMTP"))
    }

    /// "Upon completion of the TLS handshake, the SMTP protocol is reset to the initial state" (RFC
    /// 3207 §4.2).
    pub(super) fn encrypted(&mut self) {
        self.is_encrypted = true;
        self.is_authenticated = false;
        self.greeting = Greeting::None;
        self.envelope = None;
    }

    pub(super) fn data(&self) -> Dotted {
        Dotted::new(self.rules.max_bytes)
    }

    /// Answers a command line, its end taken off.
    pub(super) fn command(&mut self, line: &[u8]) -> Step {
        let step = match std::str::from_utf8(line) {
            Ok(text) if !text.contains(['\r', '\n', '\0']) => self.dispatch(text),
            Ok(_) | Err(_) => Step::say("500 5.5.2 Syntax error"),
        };
        self.counted(step)
    }

    pub(super) fn too_long(&mut self) -> Step {
        self.counted(Step::say("500 5.5.6 Line too long"))
    }

    /// Answers a line of an AUTH exchange.
    pub(super) fn credentials(&mut self, exchange: Exchange, line: &[u8]) -> Step {
        let line = String::from_utf8_lossy(line);
        let verdict = auth::go_on(exchange, &line, self.rules.credentials.as_ref());
        let step = self.judged(verdict);
        self.counted(step)
    }

    fn dispatch(&mut self, line: &str) -> Step {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        let is_open = matches!(verb.as_str(), "EHLO" | "HELO" | "STARTTLS" | "NOOP" | "QUIT");
        if !self.is_encrypted && !is_open {
            // RFC 3207 §4: for every command but these.
            return Step::say("530 5.7.0 Must issue a STARTTLS command first");
        }
        match verb.as_str() {
            "EHLO" => self.ehlo(argument, Greeting::Ehlo),
            "HELO" => self.ehlo(argument, Greeting::Helo),
            "STARTTLS" => self.starttls(argument),
            "AUTH" => self.auth(argument),
            "MAIL" => self.mail(argument),
            "RCPT" => self.rcpt(argument),
            "DATA" => self.begin_data(argument),
            "RSET" => {
                self.envelope = None;
                Step::say("250 2.0.0 OK")
            }
            "NOOP" => Step::say("250 2.0.0 OK"),
            "QUIT" => Step::new("221 2.0.0 Bye", Next::Close),
            "VRFY" => Step::say("252 2.1.5 Send some mail, I will try"),
            "HELP" => Step::say("214 2.0.0 See RFC 5321"),
            "EXPN" | "BDAT" => Step::say("502 5.5.1 Command not implemented"),
            _ => Step::say("500 5.5.2 Command unrecognised"),
        }
    }

    fn ehlo(&mut self, name: &str, greeting: Greeting) -> Step {
        if name.trim().is_empty() {
            return Step::say("501 5.5.4 A name must follow");
        }
        if let Some(step) = self.scripted("ehlo") {
            return step;
        }
        self.greeting = greeting;
        self.envelope = None;
        if greeting == Greeting::Helo {
            return Step::say("250 localhost");
        }
        let size = format!("SIZE {}", self.rules.max_bytes);
        let last = if self.is_encrypted { "AUTH PLAIN LOGIN" } else { "STARTTLS" };
        let words =
            ["PIPELINING", &size, "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", last];
        let mut reply = "250-localhost".to_owned();
        for (at, word) in words.iter().enumerate() {
            let mark = if at + 1 == words.len() { ' ' } else { '-' };
            reply.push_str(&format!("\r\n250{mark}{word}"));
        }
        Step::say(reply)
    }

    fn starttls(&mut self, argument: &str) -> Step {
        if self.is_encrypted {
            return Step::say("503 5.5.1 TLS is already in use");
        }
        if !argument.is_empty() {
            return Step::say("501 5.5.4 No parameters allowed");
        }
        let scripted = self.scripted("starttls");
        scripted.unwrap_or_else(|| Step::new("220 2.0.0 Ready to start TLS", Next::StartTls))
    }

    fn auth(&mut self, argument: &str) -> Step {
        if self.greeting != Greeting::Ehlo || self.is_authenticated || self.envelope.is_some() {
            return Step::say("503 5.5.1 AUTH is not allowed now");
        }
        if let Some(step) = self.scripted("auth") {
            return step;
        }
        let verdict = auth::begin(argument, self.rules.credentials.as_ref());
        self.judged(verdict)
    }

    fn judged(&mut self, verdict: Verdict) -> Step {
        match verdict {
            Verdict::Granted => {
                self.is_authenticated = true;
                Step::say("235 2.7.0 Authentication succeeded")
            }
            Verdict::Refused(reply) => Step::say(reply),
            Verdict::Ask(challenge, exchange) => Step::new(challenge, Next::Credentials(exchange)),
        }
    }

    fn mail(&mut self, argument: &str) -> Step {
        if self.greeting == Greeting::None || self.envelope.is_some() {
            return Step::say("503 5.5.1 MAIL is not allowed now");
        }
        if self.rules.credentials.is_some() && !self.is_authenticated {
            return Step::say("530 5.7.0 Authentication required");
        }
        if self.messages >= self.rules.messages_max {
            let reply = "421 4.7.0 Too many messages on this connection";
            self.rules.journal.note(label(reply));
            return Step::new(reply, Next::Close);
        }
        if let Some(step) = self.scripted("mail") {
            return step;
        }
        match self.read_mail(argument) {
            Ok(envelope) => {
                self.envelope = Some(envelope);
                Step::say("250 2.1.0 OK")
            }
            Err(reply) => Step::say(reply),
        }
    }

    fn read_mail(&self, argument: &str) -> Result<Envelope, &'static str> {
        let path = path::parse(argument, "FROM:")?;
        if self.greeting == Greeting::Helo && !path.parameters.is_empty() {
            return Err("555 5.5.4 Say EHLO to use parameters");
        }
        let wishes = path::mail_wishes(&path)?;
        // The empty path is that of notices about mail (RFC 5321 §4.5.5).
        if !path.mailbox.is_empty() {
            path::check_mailbox(&path.mailbox, wishes.is_utf8)?;
        }
        let max = u64::try_from(self.rules.max_bytes).unwrap_or(u64::MAX);
        if wishes.size.is_some_and(|size| size > max) {
            return Err("552 5.3.4 Message size exceeds fixed limit");
        }
        let parameters = told("MAIL", &path);
        let is_utf8 = wishes.is_utf8;
        Ok(Envelope { from: path.mailbox, parameters, is_utf8, ..Envelope::default() })
    }

    fn rcpt(&mut self, argument: &str) -> Step {
        if self.envelope.is_none() {
            return Step::say("503 5.5.1 MAIL first");
        }
        if let Some(step) = self.scripted("rcpt") {
            return step;
        }
        let scripts = &self.rules.scripts;
        let Some(envelope) = &mut self.envelope else { return Step::say("503 5.5.1 MAIL first") };
        let read = path::parse(argument, "TO:").and_then(|path| {
            path::check_rcpt_parameters(&path)?;
            path::check_mailbox(&path.mailbox, envelope.is_utf8)?;
            Ok(path)
        });
        let path = match read {
            Ok(path) => path,
            Err(reply) => return Step::say(reply),
        };
        if envelope.recipients.len() >= RECIPIENTS_MAX {
            return Step::say("452 4.5.3 Too many recipients");
        }
        match scripts.next(&path.mailbox) {
            Scripted::Accept => {}
            Scripted::AcceptLate => envelope.is_slow = true,
            Scripted::CloseAtDot => envelope.closes_at_dot = true,
            Scripted::Refuse(reply) => {
                self.rules.journal.answer(label(&reply));
                return Step::say(reply);
            }
        }
        envelope.parameters.extend(told("RCPT", &path));
        envelope.recipients.push(path.mailbox);
        Step::say("250 2.1.5 OK")
    }

    fn begin_data(&mut self, argument: &str) -> Step {
        if !argument.is_empty() {
            return Step::say("501 5.5.4 No parameters allowed");
        }
        match &self.envelope {
            None => Step::say("503 5.5.1 MAIL first"),
            Some(envelope) if envelope.recipients.is_empty() => {
                Step::say("554 5.5.1 No valid recipients")
            }
            Some(_) => {
                let scripted = self.scripted("data");
                scripted.unwrap_or_else(|| Step::new("354 End with a dot on a line", Next::Data))
            }
        }
    }

    /// Answers the final dot.
    pub(super) fn dot(&mut self, text: Text) -> Step {
        let envelope = self.envelope.take().unwrap_or_default();
        let raw = match text {
            Text::Whole(raw) => raw,
            Text::TooBig => return self.refused("552 5.3.4 Message size exceeds fixed limit"),
            // Postfix's `smtpd_forbid_bare_newline = reject`.
            Text::Bare => return self.refused("550 5.5.2 A bare line end in the message"),
        };
        self.messages += 1;
        if let Some(step) = self.scripted("dot") {
            // Whoever hears nothing does not know that the message was kept.
            let is_kept = step.reply.as_deref().is_none_or(|reply| reply.starts_with('2'));
            if is_kept {
                self.keep(&envelope, raw, "closed at the dot");
            }
            return step;
        }
        if envelope.closes_at_dot {
            self.keep(&envelope, raw, "closed at the dot");
            return Step { reply: None, after: Duration::ZERO, next: Next::Close };
        }
        self.keep(&envelope, raw, "250 2.0.0");
        let queue_id = hex::encode_upper(ids::random::<5>());
        let after = if envelope.is_slow { self.rules.slow } else { Duration::ZERO };
        Step { after, ..Step::say(format!("250 2.0.0 OK: queued as {queue_id}")) }
    }

    fn refused(&self, reply: &'static str) -> Step {
        self.rules.journal.answer(label(reply));
        Step::say(reply)
    }

    fn keep(&self, envelope: &Envelope, raw: Vec<u8>, answer: &'static str) {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let headers = message::headers(&text);
        let received = Received {
            at_ms: ids::now_ms(),
            connection: self.number,
            stream: 0,
            token: None,
            address: envelope.recipients.first().cloned(),
            recipients: envelope.recipients.clone(),
            envelope_from: Some(envelope.from.clone()),
            parameters: envelope.parameters.clone(),
            id: headers.get("message-id").cloned().unwrap_or_default(),
            collapse_id: None,
            headers,
            payload: text.into(),
        };
        self.rules.journal.accept(answer.into(), &received);
    }

    /// The reply that was ordered for this phase, if there is one.
    fn scripted(&mut self, phase: &str) -> Option<Step> {
        let ordered = self.rules.controls.take_smtp(phase)?;
        let next =
            if ordered.close || ordered.reply.is_none() { Next::Close } else { Next::Command };
        if let Some(reply) = ordered.reply.as_deref().filter(|reply| !reply.starts_with('2')) {
            self.rules.journal.answer(label(reply));
        }
        Some(Step { reply: ordered.reply, after: Duration::ZERO, next })
    }

    /// Ends a session that does nothing but err.
    fn counted(&mut self, step: Step) -> Step {
        let is_error = step.reply.as_deref().is_some_and(|reply| reply.starts_with('5'));
        self.errors += u32::from(is_error);
        if self.errors > ERRORS_MAX {
            return Step::new("421 4.7.0 Too many errors", Next::Close);
        }
        step
    }
}

/// Parameters as `/received` shows them: `MAIL RET=HDRS`.
fn told(verb: &str, path: &path::Path) -> Vec<String> {
    path.parameters
        .iter()
        .map(|(name, value)| match value {
            Some(value) => format!("{verb} {name}={value}"),
            None => format!("{verb} {name}"),
        })
        .collect()
}

/// Code and enhanced code of a reply, as `/counts` calls it: never the text, which names mailboxes.
fn label(reply: &str) -> std::borrow::Cow<'static, str> {
    let mut words = reply.split([' ', '-']);
    let code = words.next().unwrap_or_default();
    let is_enhanced = |word: &&str| {
        word.split('.').count() == 3
            && word.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
    };
    match words.next().filter(is_enhanced) {
        Some(enhanced) => format!("{code} {enhanced}").into(),
        None => code.to_owned().into(),
    }
}
