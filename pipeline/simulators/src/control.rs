//! What a test or an operator orders from outside: `POST /script`.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The body of `POST /script`; every field may be absent. Unknown fields are refused with 400.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// `true` cuts all connections and closes new ones unread, until `false`.
    pub down: Option<bool>,
    /// `true` sends all present HTTP/2 connections away: streams begun later count as unprocessed.
    pub goaway: Option<bool>,
    /// How many of the next streams are reset with REFUSED_STREAM, unread.
    pub refuse_streams: Option<u64>,
    /// The answer to the next `count` requests, whatever they hold: an APNs reason (`Shutdown`), or
    /// for FCM an error code (`THIRD_PARTY_AUTH_ERROR`, `PERMISSION_DENIED`).
    pub answer: Option<String>,
    /// The answer of FCM's token endpoint to the next `count` requests: an OAuth2 error (RFC 6749
    /// §5.2) or `internal_failure` (500).
    pub token_answer: Option<String>,
    /// Goes with `answer`, `token_answer` and `smtp`; 1 if absent.
    pub count: Option<u64>,
    /// What the SMTP double answers in a phase, instead of its own reply.
    pub smtp: Option<SmtpReply>,
}

/// A reply of the SMTP double, for the next `count` times that the phase is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpReply {
    /// `connect`, `ehlo`, `starttls`, `auth`, `mail`, `rcpt`, `data` or `dot` (after the final
    /// dot).
    pub phase: String,
    /// The whole line without its end, for example `451 4.3.2 Try later`. Without it the connection
    /// is closed in silence; at `dot` the message is kept all the same.
    #[serde(default)]
    pub reply: Option<String>,
    /// Whether the connection is closed after the reply.
    #[serde(default)]
    pub close: bool,
}

/// Scripted answers that are waiting, per kind; more are refused.
const WAITING_MAX: usize = 1000;

pub(crate) struct Controls {
    orders: watch::Sender<Orders>,
    queues: Mutex<Queues>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    down: bool,
    /// Grows by one with each order to send connections away.
    pub(crate) goaways: u64,
}

#[derive(Default)]
struct Queues {
    refuse_streams: u64,
    answers: VecDeque<(String, u64)>,
    token_answers: VecDeque<(String, u64)>,
    smtp: VecDeque<(SmtpReply, u64)>,
}

impl Controls {
    pub(crate) fn new() -> Controls {
        Controls { orders: watch::channel(Orders::default()).0, queues: Mutex::default() }
    }

    /// Errors: what is wrong with the script, in words for whoever wrote it.
    pub(crate) fn apply(&self, script: Script) -> Result<(), &'static str> {
        let count = script.count.unwrap_or(1);
        let mut queues = self.queues.lock();
        if queues.answers.len().max(queues.token_answers.len()).max(queues.smtp.len())
            >= WAITING_MAX
        {
            return Err("too many scripted answers are waiting");
        }
        if let Some(streams) = script.refuse_streams {
            queues.refuse_streams = streams;
        }
        queues.answers.extend(script.answer.map(|answer| (answer, count)));
        queues.token_answers.extend(script.token_answer.map(|answer| (answer, count)));
        queues.smtp.extend(script.smtp.map(|reply| (reply, count)));
        drop(queues);
        self.orders.send_if_modified(|orders| {
            let before = *orders;
            orders.down = script.down.unwrap_or(orders.down);
            orders.goaways += u64::from(script.goaway == Some(true));
            *orders != before
        });
        Ok(())
    }

    /// Forgets all scripts and is up again.
    pub(crate) fn reset(&self) {
        *self.queues.lock() = Queues::default();
        self.orders.send_modify(|orders| orders.down = false);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.orders.borrow().down
    }

    /// Resolves when the double goes down.
    pub(crate) async fn down(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.orders.subscribe().wait_for(|orders| orders.down).await;
    }

    pub(crate) fn orders(&self) -> watch::Receiver<Orders> {
        self.orders.subscribe()
    }

    pub(crate) fn take_refused_stream(&self) -> bool {
        let mut queues = self.queues.lock();
        let refused = queues.refuse_streams > 0;
        queues.refuse_streams = queues.refuse_streams.saturating_sub(1);
        refused
    }

    pub(crate) fn take_answer(&self) -> Option<String> {
        take(&mut self.queues.lock().answers, |_| true)
    }

    pub(crate) fn take_token_answer(&self) -> Option<String> {
        take(&mut self.queues.lock().token_answers, |_| true)
    }

    pub(crate) fn take_smtp(&self, phase: &str) -> Option<SmtpReply> {
        take(&mut self.queues.lock().smtp, |reply| reply.phase == phase)
    }
}

/// The first fitting entry, used once.
fn take<T: Clone>(queue: &mut VecDeque<(T, u64)>, fits: impl Fn(&T) -> bool) -> Option<T> {
    queue.retain(|(_, left)| *left > 0);
    let (entry, left) = queue.iter_mut().find(|(entry, _)| fits(entry))?;
    *left -= 1;
    Some(entry.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripted_answer_is_given_as_often_as_it_says_and_in_order() {
        let controls = Controls::new();
        let script = |answer: &str, count| Script {
            answer: Some(answer.into()),
            count: Some(count),
            ..Script::default()
        };
        controls.apply(script("first", 2)).unwrap();
        controls.apply(script("second", 1)).unwrap();
        let given: Vec<_> = std::iter::from_fn(|| controls.take_answer()).collect();
        assert_eq!(given, ["first", "first", "second"]);
    }

    #[test]
    fn a_reset_forgets_every_script() {
        let controls = Controls::new();
        let script = Script { refuse_streams: Some(3), down: Some(true), ..Script::default() };
        controls.apply(script).unwrap();
        controls.reset();
        assert!(!controls.take_refused_stream() && !controls.is_down());
    }
}
