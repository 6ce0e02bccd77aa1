//! A relay's reply, without its words: those may name the mailbox.

use std::fmt;

/// Where in the dialogue a reply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    /// The command; the mail has not been sent.
    Data,
    /// After the final dot.
    Dot,
}

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced(pub u16, pub u16, pub u16);

/// Codes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    pub enhanced: Option<Enhanced>,
    /// The words complain about a rate: many relays say so with a bare 421.
    pub names_a_rate: bool,
}

/// A reply as it is read, line by line, the words kept as long as it takes to read EHLO's.
#[derive(Default)]
pub(super) struct Lines {
    code: u16,
    /// What follows the code, of each line.
    words: Vec<Vec<u8>>,
}

/// What is no reply (RFC 5321 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Lines of one reply at most.
const MOST_LINES: usize = 128;

impl Lines {
    /// Takes a line without its end; true when it was the last.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<bool, Malformed> {
        let (digits, rest) = line.split_at_checked(3).ok_or(Malformed)?;
        if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
            return Err(Malformed);
        }
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        let is_first = self.words.is_empty();
        if (!is_first && code != self.code) || self.words.len() == MOST_LINES {
            return Err(Malformed);
        }
        let (goes_on, words) = match rest.split_first() {
            None => (false, rest),
            Some((b' ', words)) => (false, words),
            Some((b'-', words)) => (true, words),
            Some(_) => return Err(Malformed),
        };
        self.code = code;
        self.words.push(words.to_vec());
        Ok(!goes_on)
    }

    /// The codes alone.
    pub(super) fn reply(&self) -> Reply {
        let words = self.words.join(&b' ').to_ascii_lowercase();
        let text = String::from_utf8_lossy(&words);
        let rate = ["too many", "too fast", "too much", "rate limit", "throttl"];
        Reply {
            code: self.code,
            enhanced: self.words.last().and_then(|words| enhanced(words, self.code)),
            names_a_rate: rate.iter().any(|sign| text.contains(sign)),
        }
    }

    /// EHLO's keywords, in upper case, with what follows each.
    pub(super) fn keywords(&self) -> impl Iterator<Item = (String, String)> {
        self.words.iter().skip(1).map(|words| {
            let text = String::from_utf8_lossy(words).to_ascii_uppercase();
            match text.split_once([' ', '=']) {
                Some((keyword, rest)) => (keyword.to_owned(), rest.to_owned()),
                None => (text, String::new()),
            }
        })
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({})", self.code)
    }
}

/// `d.ddd.ddd` at the beginning, of the class that the code has.
fn enhanced(words: &[u8], code: u16) -> Option<Enhanced> {
    let first = words.split(|byte| *byte == b' ').next()?;
    let mut parts = std::str::from_utf8(first).ok()?.split('.');
    let mut number = || {
        let part = parts.next()?;
        let is_short = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        is_short.then(|| part.parse().ok())?
    };
    let read = Enhanced(number()?, number()?, number()?);
    (parts.next().is_none() && read.0 == code / 100).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Reply, Malformed> {
        let mut reply = Lines::default();
        let mut whole = false;
        for line in lines {
            assert!(!whole, "a line after the last");
            whole = reply.take(line)?;
        }
        assert!(whole, "the last line is missing");
        Ok(reply.reply())
    }

    fn check(lines: &[&[u8]], code: u16, enhanced: Option<Enhanced>) {
        let expected = Reply { code, enhanced, names_a_rate: false };
        assert_eq!(read(lines), Ok(expected));
    }

    #[test]
    fn code_and_enhanced_code_are_read() {
        check(&[b"250 2.0.0 OK"], 250, Some(Enhanced(2, 0, 0)));
        check(&[b"250"], 250, None);
        check(&[b"550 No such user"], 550, None);
        check(&[b"550-5.1.1 <a@b.example>:", b"550 5.1.1 unknown"], 550, Some(Enhanced(5, 1, 1)));
        check(&[b"452 4.2.2"], 452, Some(Enhanced(4, 2, 2)));
    }

    #[test]
    fn a_reply_need_not_be_utf_8() {
        check(&[b"550 5.1.1 utente inesistente: non c'\xe8"], 550, Some(Enhanced(5, 1, 1)));
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_none() {
        for words in ["550 4.1.1 x", "550 5.1 x", "550 5.1.1.1 x", "550 5.1234.1 x", "550 5..1 x"] {
            check(&[words.as_bytes()], 550, None);
        }
    }

    #[test]
    fn what_is_no_reply_is_malformed() {
        let many = vec![&b"250-x"[..]; MOST_LINES + 1];
        for lines in [&[&b"25"[..]][..], &[b"abc d"], &[b"650 x"], &[b"250_x"], &many] {
            assert_eq!(read(lines), Err(Malformed));
        }
        assert_eq!(read(&[b"250-x", b"251 y"]), Err(Malformed));
    }

    #[test]
    fn a_complaint_about_a_rate_is_heard() {
        assert!(read(&[b"421 Too many messages"]).unwrap().names_a_rate);
        assert!(read(&[b"421 You are being throttled"]).unwrap().names_a_rate);
        assert!(!read(&[b"421 Shutting down"]).unwrap().names_a_rate);
    }
}
