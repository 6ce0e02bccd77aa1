//! What the commands print: plain lines everywhere, a moving line only on a terminal.
#![allow(clippy::print_stdout, reason = "a command's answer belongs on its standard output")]

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line of the command's answer. A reader that has gone away is no error.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line about what is going on; never part of the answer, so `--json` stays clean.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Seconds with one decimal: the precision a person can use.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Says what is being waited for: a line that counts on a terminal, one plain line elsewhere.
pub struct Waiting {
    what: String,
    since: Instant,
    on_terminal: bool,
}

impl Waiting {
    #[must_use]
    pub fn on(what: impl Into<String>) -> Self {
        let what = what.into();
        let on_terminal = std::io::stderr().is_terminal();
        if !on_terminal {
            note(format_args!("{what} ..."));
        }
        Self { what, since: Instant::now(), on_terminal }
    }

    /// Shows the time so far; nothing where there is no terminal.
    pub fn tick(&self) {
        if self.on_terminal {
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[K{} ... {}", self.what, seconds(self.since.elapsed()));
            let _ = out.flush();
        }
    }

    /// Ends the line with its outcome and the time it took.
    pub fn done(self, outcome: &str) {
        let start = if self.on_terminal { "\r\x1b[K" } else { "" };
        let took = seconds(self.since.elapsed());
        note(format_args!("{start}{}: {outcome} ({took})", self.what));
    }
}
