//! What a relay's replies mean. Source: RFC 5321 §4.2 (three digits), RFC 3463 and RFC 5248 with IANA's
//! registry (enhanced codes, which win over the digits).

use std::time::Duration;

use policy::outcome::{Answer, AttemptOutcome};
use schemas::records::Reason;

use super::reply::{Enhanced, Phase, Reply};

/// Greylisting servers let a repeat pass after five minutes; full boxes and busy relays want no less.
const WAIT: Duration = Duration::from_secs(5 * 60);

const LATER: AttemptOutcome = AttemptOutcome::Unavailable { retry_after: Some(WAIT) };
const SLOWER: AttemptOutcome = AttemptOutcome::Throttled { retry_after: Some(WAIT) };
const GONE: AttemptOutcome = AttemptOutcome::AddressGone { since: None };

/// The class of a reply. Precedence: taken > login > before the first command > enhanced code > code.
#[must_use]
pub fn classify(phase: Phase, reply: Reply) -> Answer {
    let (outcome, why) = match (phase, reply.code) {
        (Phase::Dot, 200..=299) => (AttemptOutcome::Accepted, Reason::Delivered),
        // 454: "temporary authentication failure", "TLS not available due to temporary reason".
        (Phase::StartTls | Phase::Auth, 454) => (LATER, Reason::ServerUnavailable),
        // Login demanded, mechanism too weak, refused, encryption demanded.
        (_, 530 | 534 | 535 | 538) => (AttemptOutcome::Misconfigured, Reason::Credential),
        // No mechanism in common, a name or password that is wrong: never the mail's fault.
        (Phase::Auth, 500..=599) => (AttemptOutcome::Misconfigured, Reason::Credential),
        // Whoever has not let us in yet has refused no mail.
        (Phase::Greeting | Phase::Ehlo | Phase::StartTls, _) => before(reply),
        (phase, _) => reply
            .enhanced
            .and_then(|code| enhanced(phase, code))
            .unwrap_or_else(|| by_code(phase, reply)),
    };
    Answer::new(outcome, why)
}

fn before(reply: Reply) -> (AttemptOutcome, Reason) {
    match reply.enhanced {
        Some(Enhanced(5, 7, _)) => (AttemptOutcome::Misconfigured, Reason::MailPolicy),
        Some(Enhanced(4, 7, _)) => (SLOWER, Reason::Quota),
        Some(_) | None if reply.names_a_rate => (SLOWER, Reason::Quota),
        Some(_) | None => (LATER, Reason::ServerUnavailable),
    }
}

/// Of the recipient only where RCPT was answered: a 5.1.1 to MAIL or to the text speaks of us.
fn gone_at_rcpt(phase: Phase) -> (AttemptOutcome, Reason) {
    let outcome = if phase == Phase::Rcpt { GONE } else { AttemptOutcome::Refused };
    (outcome, Reason::NoSuchMailbox)
}

fn enhanced(phase: Phase, code: Enhanced) -> Option<(AttemptOutcome, Reason)> {
    let refused = AttemptOutcome::Refused;
    Some(match code {
        // No such mailbox, no such domain, null MX; bad syntax, moved without a new address.
        Enhanced(5, 1, 1 | 2 | 3 | 6 | 10) => gone_at_rcpt(phase),
        // Disabled: may come back.
        Enhanced(5, 2, 1) => (refused, Reason::NoSuchMailbox),
        Enhanced(4, 2, 2) => (LATER, Reason::MailboxFull),
        Enhanced(5, 2, 2) => (refused, Reason::MailboxFull),
        Enhanced(5, 2, 3) | Enhanced(5, 3, 4) => (refused, Reason::TooLarge),
        // System full, not accepting; too many recipients.
        Enhanced(4, 3, _) | Enhanced(4, 5, 3) => (LATER, Reason::ServerUnavailable),
        // Expired on its way, with either class; no route, loop.
        Enhanced(4, 4, 7) | Enhanced(5, 4, _) => (refused, Reason::MailRouting),
        Enhanced(4, 4, _) => (LATER, Reason::MailRouting),
        // Our bug: protocol, or content that the receiver cannot take.
        Enhanced(5, 5 | 6, _) => (refused, Reason::BadRequest),
        // Greylisting or a rate.
        Enhanced(4, 7, _) => (SLOWER, Reason::Greylisted),
        // Policy. About the sender it is ours to repair; one recipient's filter must not stop the edge.
        Enhanced(5, 7, _) => match phase {
            Phase::Mail | Phase::Greeting | Phase::Ehlo | Phase::StartTls | Phase::Auth => {
                (AttemptOutcome::Misconfigured, Reason::MailPolicy)
            }
            Phase::Rcpt | Phase::Data | Phase::Dot => (refused, Reason::MailPolicy),
        },
        Enhanced(..) => return None,
    })
}

fn by_code(phase: Phase, reply: Reply) -> (AttemptOutcome, Reason) {
    let refused = AttemptOutcome::Refused;
    match reply.code {
        421 if reply.names_a_rate => (SLOWER, Reason::Quota),
        421 | 450 | 451 | 452 => (LATER, Reason::ServerUnavailable),
        500..=504 | 555 => (refused, Reason::BadRequest),
        550 | 551 | 553 if phase == Phase::Rcpt => gone_at_rcpt(phase),
        550 | 551 | 553 | 554 => (refused, Reason::MailPolicy),
        552 if phase == Phase::Rcpt => (refused, Reason::MailboxFull),
        552 => (refused, Reason::TooLarge),
        400..=499 => (LATER, Reason::UnknownAnswer),
        _ => (refused, Reason::UnknownAnswer),
    }
}

/// The class where the dialogue broke off at `phase` without a reply.
pub(super) fn lost(phase: Phase) -> Answer {
    match phase {
        // No mail has been named yet: no try is burnt.
        Phase::Greeting | Phase::Ehlo | Phase::StartTls | Phase::Auth => {
            policy::outcome::unsent(None)
        }
        // Without the final dot nothing is taken (RFC 5321 §4.1.1.4).
        Phase::Mail | Phase::Rcpt | Phase::Data => Answer::new(LATER, Reason::ServerUnavailable),
        Phase::Dot => Answer::new(AttemptOutcome::Indeterminate, Reason::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: AttemptOutcome = AttemptOutcome::Refused;
    const WRONG: AttemptOutcome = AttemptOutcome::Misconfigured;

    fn reply(text: &str) -> Reply {
        let mut lines = super::super::reply::Lines::default();
        assert_eq!(lines.take(text.as_bytes()), Ok(true));
        lines.reply()
    }

    fn check(rows: &[(Phase, &str, AttemptOutcome, Reason)]) {
        for (phase, text, outcome, why) in rows {
            let expected = Answer::new(*outcome, *why);
            assert_eq!(classify(*phase, reply(text)), expected, "{phase:?} {text}");
        }
    }

    #[test]
    fn every_row_of_the_table_of_codes_has_its_class() {
        use Phase::{Auth, Data, Dot, Ehlo, Greeting, Mail, Rcpt, StartTls};
        check(&[
            (Dot, "250 OK", AttemptOutcome::Accepted, Reason::Delivered),
            (Greeting, "554 no service", LATER, Reason::ServerUnavailable),
            (Greeting, "421 shutting down", LATER, Reason::ServerUnavailable),
            (Greeting, "421 too many connections", SLOWER, Reason::Quota),
            (Ehlo, "502 what?", LATER, Reason::ServerUnavailable),
            (Ehlo, "550 5.7.25 no reverse name", WRONG, Reason::MailPolicy),
            (Mail, "421 later", LATER, Reason::ServerUnavailable),
            (Rcpt, "450 later", LATER, Reason::ServerUnavailable),
            (Rcpt, "451 later", LATER, Reason::ServerUnavailable),
            (Dot, "452 later", LATER, Reason::ServerUnavailable),
            (Mail, "421 rate limit", SLOWER, Reason::Quota),
            (Mail, "421 4.7.0 later", SLOWER, Reason::Greylisted),
            (StartTls, "454 4.7.0 later", LATER, Reason::ServerUnavailable),
            (Auth, "454 4.7.0 later", LATER, Reason::ServerUnavailable),
            (Mail, "530 5.7.0 login", WRONG, Reason::Credential),
            (Auth, "534 5.7.9 weak", WRONG, Reason::Credential),
            (Auth, "535 5.7.8 no", WRONG, Reason::Credential),
            (Auth, "538 5.7.11 TLS", WRONG, Reason::Credential),
            (Auth, "504 5.5.4 mechanism", WRONG, Reason::Credential),
            (Auth, "504 mechanism", WRONG, Reason::Credential),
            (Mail, "500 what?", REFUSED, Reason::BadRequest),
            (Mail, "555 parameter", REFUSED, Reason::BadRequest),
            (Rcpt, "550 no", GONE, Reason::NoSuchMailbox),
            (Rcpt, "551 no", GONE, Reason::NoSuchMailbox),
            (Rcpt, "553 no", GONE, Reason::NoSuchMailbox),
            (Mail, "550 no", REFUSED, Reason::MailPolicy),
            (Dot, "550 no", REFUSED, Reason::MailPolicy),
            (Dot, "552 no", REFUSED, Reason::TooLarge),
            (Rcpt, "552 no", REFUSED, Reason::MailboxFull),
            (Data, "554 no", REFUSED, Reason::MailPolicy),
            (Rcpt, "499 what?", LATER, Reason::UnknownAnswer),
            (Rcpt, "599 what?", REFUSED, Reason::UnknownAnswer),
        ]);
    }

    #[test]
    fn every_row_of_the_table_of_enhanced_codes_has_its_class() {
        use Phase::{Dot, Mail, Rcpt};
        check(&[
            (Rcpt, "550 5.1.1 x", GONE, Reason::NoSuchMailbox),
            (Rcpt, "550 5.1.2 x", GONE, Reason::NoSuchMailbox),
            (Rcpt, "556 5.1.10 x", GONE, Reason::NoSuchMailbox),
            (Rcpt, "501 5.1.3 x", GONE, Reason::NoSuchMailbox),
            (Rcpt, "551 5.1.6 x", GONE, Reason::NoSuchMailbox),
            (Rcpt, "550 5.2.1 x", REFUSED, Reason::NoSuchMailbox),
            (Rcpt, "452 4.2.2 x", LATER, Reason::MailboxFull),
            (Rcpt, "552 5.2.2 x", REFUSED, Reason::MailboxFull),
            (Mail, "552 5.2.3 x", REFUSED, Reason::TooLarge),
            (Mail, "552 5.3.4 x", REFUSED, Reason::TooLarge),
            (Mail, "452 4.3.1 x", LATER, Reason::ServerUnavailable),
            (Mail, "451 4.3.2 x", LATER, Reason::ServerUnavailable),
            (Rcpt, "451 4.4.1 x", LATER, Reason::MailRouting),
            (Rcpt, "451 4.4.7 x", REFUSED, Reason::MailRouting),
            (Rcpt, "550 5.4.1 x", REFUSED, Reason::MailRouting),
            (Rcpt, "550 5.4.4 x", REFUSED, Reason::MailRouting),
            (Dot, "554 5.4.6 x", REFUSED, Reason::MailRouting),
            (Dot, "554 5.4.7 x", REFUSED, Reason::MailRouting),
            (Rcpt, "452 4.5.3 x", LATER, Reason::ServerUnavailable),
            (Rcpt, "503 5.5.1 x", REFUSED, Reason::BadRequest),
            (Rcpt, "550 5.6.7 x", REFUSED, Reason::BadRequest),
            (Rcpt, "451 4.7.1 x", SLOWER, Reason::Greylisted),
            (Mail, "550 5.7.1 x", WRONG, Reason::MailPolicy),
            (Rcpt, "550 5.7.1 x", REFUSED, Reason::MailPolicy),
            (Dot, "550 5.7.26 x", REFUSED, Reason::MailPolicy),
            (Rcpt, "550 5.9.9 x", GONE, Reason::NoSuchMailbox),
        ]);
    }

    #[test]
    fn neither_mail_nor_the_text_ever_kills_an_address() {
        for phase in [Phase::Mail, Phase::Data, Phase::Dot] {
            for text in ["550 5.1.1 x", "550 5.1.2 x", "550 x", "551 x", "553 5.1.3 x"] {
                assert_eq!(classify(phase, reply(text)).outcome, REFUSED, "{phase:?} {text}");
            }
        }
    }

    #[test]
    fn only_what_is_lost_after_the_dot_is_unknown() {
        let kind = |phase| lost(phase).outcome;
        assert_eq!(lost(Phase::Greeting).reason, Reason::Unsent);
        assert_eq!(lost(Phase::Auth).reason, Reason::Unsent);
        assert_eq!(kind(Phase::Mail), LATER);
        assert_eq!(kind(Phase::Data), LATER);
        assert_eq!(kind(Phase::Dot), AttemptOutcome::Indeterminate);
    }
}
