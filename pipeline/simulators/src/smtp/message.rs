//! The text of a message: read to the final dot, then looked into.

use std::collections::BTreeMap;

/// Reads what follows DATA, byte by byte: takes away the dots that were stuffed in and finds the
/// end, which is CRLF dot CRLF and nothing else (RFC 5321 §4.1.1.4; taking a bare line feed for a
/// line's end is how mail is smuggled).
pub(super) struct Dotted {
    text: Vec<u8>,
    max: usize,
    is_cut: bool,
    has_bare: bool,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    LineStart,
    Dot,
    DotReturn,
    Return,
    Line,
}

/// A message as it came, or why it cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    Whole(Vec<u8>),
    TooBig,
    /// It holds a carriage return or line feed that stands alone (RFC 5321 §2.3.8).
    Bare,
}

impl Dotted {
    pub(super) fn new(max: usize) -> Dotted {
        Dotted { text: Vec::new(), max, is_cut: false, has_bare: false, state: State::LineStart }
    }

    /// Takes bytes from the front of `input`. Gives how many were taken and whether the end was
    /// reached.
    pub(super) fn take(&mut self, input: &[u8]) -> (usize, bool) {
        for (at, byte) in input.iter().enumerate() {
            if self.step(*byte) {
                return (at + 1, true);
            }
        }
        (input.len(), false)
    }

    pub(super) fn finish(self) -> Text {
        match (self.is_cut, self.has_bare) {
            (true, _) => Text::TooBig,
            (false, true) => Text::Bare,
            (false, false) => Text::Whole(self.text),
        }
    }

    fn step(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            (State::DotReturn, b'\n') => return true,
            (State::LineStart, b'.') => State::Dot,
            (State::Dot, b'\r') => State::DotReturn,
            (State::Return, b'\n') => {
                self.keep(b'\n');
                State::LineStart
            }
            (State::DotReturn, other) => {
                self.has_bare = true;
                self.keep(other);
                State::Line
            }
            (State::Return, other) => {
                self.has_bare = true;
                self.keep(other);
                if other == b'\r' { State::Return } else { State::Line }
            }
            (State::LineStart | State::Dot | State::Line, other) => {
                self.has_bare |= other == b'\n';
                self.keep(other);
                if other == b'\r' { State::Return } else { State::Line }
            }
        };
        false
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < self.max {
            self.text.push(byte);
        } else {
            self.is_cut = true;
        }
    }
}

/// The header fields by lower-case name, unfolded (RFC 5322 §2.2.3); repeated ones joined by a line
/// feed.
pub(super) fn headers(text: &str) -> BTreeMap<String, String> {
    let head = text.split_once("\r\n\r\n").map_or(text, |(head, _)| head);
    let mut headers = BTreeMap::<String, String>::new();
    let mut last = None;
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.as_ref().and_then(|name| headers.get_mut(name)) {
                value.push_str(line);
            }
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim_end().to_ascii_lowercase();
        headers
            .entry(name.clone())
            .and_modify(|joined| {
                joined.push('\n');
                joined.push_str(value.trim_start());
            })
            .or_insert_with(|| value.trim_start().to_owned());
        last = Some(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: Text) {
        for cut in 0..input.len() {
            let mut dotted = Dotted::new(100);
            let (taken, ended) = dotted.take(&input[..cut]);
            assert!(!ended && taken == cut, "ended at {cut}");
            assert_eq!(dotted.take(&input[cut..]), (input.len() - cut, true));
            assert_eq!(dotted.finish(), expected);
        }
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        check(b"a\r\n..b\r\n.\r\n", Text::Whole(b"a\r\n.b\r\n".to_vec()));
        check(b".\r\n", Text::Whole(Vec::new()));
        check(b"a\n.\n\r\n.\r\n", Text::Bare);
        check(b"a\r\n.\n.\r.\r\n\r\n.\r\n", Text::Bare);
        check(b"a\r.\r\n\r\n.\r\n", Text::Bare);
    }

    #[test]
    fn a_message_above_the_limit_is_read_to_its_end_and_not_kept() {
        let long = [vec![b'a'; 200], b"\r\n.\r\n".to_vec()].concat();
        check(&long, Text::TooBig);
    }

    #[test]
    fn folded_header_fields_are_unfolded_and_repeated_ones_joined() {
        let found = headers("A: 1\r\n 2\r\nb:3\r\nA: 4\r\n\r\nC: 5\r\n");
        assert_eq!(found["a"], "1 2\n4");
        assert_eq!(found["b"], "3");
        assert!(!found.contains_key("c"));
    }
}
