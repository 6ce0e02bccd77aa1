//! Mailboxes whose domain says how they want to be answered.
//!
//! | Domain | Answer |
//! | --- | --- |
//! | `nobody.example` | 550 5.1.1 at RCPT |
//! | `full.example` | 452 4.2.2 at RCPT, always |
//! | `grey.example` | 451 4.7.1 at RCPT once per mailbox, then 250 |
//! | `policy.example` | 550 5.7.1 at RCPT |
//! | `slow.example` | 250 after 2 s, at the final dot |
//! | `drop.example` | closes after the final dot, message kept |

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;

/// How long `slow.example` takes at a time scale of 1.
pub(super) const SLOW: Duration = Duration::from_secs(2);
/// Mailboxes remembered at once. Beyond it remembering starts again: a grey one may then wait anew.
const REMEMBERED_MAX: usize = 1_000_000;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scripted {
    Accept,
    AcceptLate,
    CloseAtDot,
    /// Code and text; the text names the mailbox, as Postfix's does.
    Refuse(String),
}

#[derive(Default)]
pub(super) struct Scripts {
    greyed: Mutex<HashSet<Box<str>>>,
}

impl Scripts {
    /// What `mailbox` wants at RCPT, this time. Domains are not case-sensitive (RFC 5321 §2.4).
    pub(super) fn next(&self, mailbox: &str) -> Scripted {
        let domain = mailbox.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        let refuse = |code, why| Scripted::Refuse(format!("{code} <{mailbox}>: {why}"));
        match domain.as_deref() {
            Some("nobody.example") => refuse("550 5.1.1", "Recipient address rejected: unknown"),
            Some("full.example") => refuse("452 4.2.2", "Mailbox is full"),
            Some("grey.example") if self.is_first(mailbox) => {
                refuse("451 4.7.1", "Recipient address rejected: Greylisted, try again later")
            }
            Some("policy.example") => refuse("550 5.7.1", "Recipient address rejected: by policy"),
            Some("slow.example") => Scripted::AcceptLate,
            Some("drop.example") => Scripted::CloseAtDot,
            Some(_) | None => Scripted::Accept,
        }
    }

    pub(super) fn forget(&self) {
        self.greyed.lock().clear();
    }

    fn is_first(&self, mailbox: &str) -> bool {
        let mut greyed = self.greyed.lock();
        if greyed.len() >= REMEMBERED_MAX {
            greyed.clear();
        }
        greyed.insert(mailbox.to_ascii_lowercase().into())
    }
}
