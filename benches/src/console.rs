//! What a benchmark prints.
#![allow(clippy::print_stdout, reason = "a command's answer belongs on its standard output")]

use std::fmt::Display;
use std::io::Write;

/// A line of the answer. A reader that has gone away is no error.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line about what is going on; never part of the answer, so `--json` stays clean.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
