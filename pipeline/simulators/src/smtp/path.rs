//! The arguments of MAIL and RCPT: a path in angle brackets, then ESMTP parameters (RFC 5321
//! §4.1.1.11).

/// RFC 5321 §4.5.3.1.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 255;

/// A path with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Empty for `<>`.
    pub(super) mailbox: String,
    pub(super) parameters: Vec<(String, Option<String>)>,
}

/// What the parameters of MAIL ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) size: Option<u64>,
    pub(super) is_utf8: bool,
}

/// Reads `FROM:<…> …` or `TO:<…> …`. Errors: the reply to be given.
pub(super) fn parse(argument: &str, keyword: &str) -> Result<Path, &'static str> {
    let head = argument.get(..keyword.len()).filter(|head| head.eq_ignore_ascii_case(keyword));
    let rest = head.map(|_| &argument[keyword.len()..]).ok_or("501 5.5.4 Syntax error")?;
    let rest = rest.strip_prefix('<').ok_or("501 5.1.3 The address must be in angle brackets")?;
    let end = closing_bracket(rest).ok_or("501 5.1.3 The address must end with a bracket")?;
    let (mailbox, rest) = (&rest[..end], &rest[end + 1..]);
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err("501 5.5.4 A space must follow the address");
    }
    let parameters = rest
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_ascii_uppercase(), Some(value.to_owned())),
            None => (word.to_ascii_uppercase(), None),
        })
        .collect();
    Ok(Path { mailbox: mailbox.to_owned(), parameters })
}

/// The position of `>` outside a quoted local part.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether `mailbox` has the form of one. Errors: the reply to be given.
pub(super) fn check_mailbox(mailbox: &str, is_utf8: bool) -> Result<(), &'static str> {
    // RFC 6531 §3.5: a reply for addresses that the transaction did not announce.
    if !mailbox.is_ascii() && !is_utf8 {
        return Err("553 5.6.7 Non-ASCII addresses not permitted for this transaction");
    }
    let (local, domain) = mailbox.rsplit_once('@').ok_or("501 5.1.3 Bad address syntax")?;
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let is_dotted = local.split('.').all(|word| !word.is_empty() && word.chars().all(is_atom));
    let is_domain = domain.split('.').all(|label| {
        let fits = |letter: char| letter.is_alphanumeric() || letter == '-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(fits)
    });
    let is_literal = domain.starts_with('[') && domain.ends_with(']');
    if local.len() > LOCAL_MAX || domain.len() > DOMAIN_MAX {
        return Err("501 5.1.3 The address is too long");
    }
    if (is_quoted || is_dotted) && (is_domain || is_literal) {
        Ok(())
    } else {
        Err("501 5.1.3 Bad address syntax")
    }
}

/// RFC 5322 §3.2.3 `atext`, and any non-ASCII letter (RFC 6531 §3.3).
fn is_atom(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter) || !letter.is_ascii()
}

/// The parameters of MAIL: SIZE (RFC 1870), BODY (6152), SMTPUTF8 (6531), RET and ENVID (3461),
/// AUTH (4954). Errors: the reply to be given.
pub(super) fn mail_wishes(path: &Path) -> Result<Wishes, &'static str> {
    const VALUE: &str = "501 5.5.4 Bad value of a MAIL parameter";
    let mut wishes = Wishes::default();
    for (name, value) in &path.parameters {
        let value = value.as_deref();
        let is_right = match name.as_str() {
            "SIZE" => {
                wishes.size = value.and_then(|value| value.parse().ok());
                wishes.size.is_some()
            }
            "BODY" => is_one_of(value, &["7BIT", "8BITMIME"]),
            "SMTPUTF8" => {
                wishes.is_utf8 = true;
                value.is_none()
            }
            "RET" => is_one_of(value, &["FULL", "HDRS"]),
            "ENVID" => value.is_some_and(|id| id.len() <= 100 && is_xtext(id)),
            "AUTH" => value.is_some_and(is_xtext),
            _ => return Err("555 5.5.4 Unsupported MAIL parameter"),
        };
        if !is_right {
            return Err(VALUE);
        }
    }
    Ok(wishes)
}

/// The parameters of RCPT: NOTIFY and ORCPT (RFC 3461). Errors: the reply to be given.
pub(super) fn check_rcpt_parameters(path: &Path) -> Result<(), &'static str> {
    for (name, value) in &path.parameters {
        let value = value.as_deref();
        let is_right = match name.as_str() {
            "NOTIFY" => {
                is_one_of(value, &["NEVER"])
                    || value.is_some_and(|value| {
                        let events = &["SUCCESS", "FAILURE", "DELAY"];
                        value.split(',').all(|event| is_one_of(Some(event), events))
                    })
            }
            "ORCPT" => {
                value.and_then(|value| value.split_once(';')).is_some_and(|(kind, address)| {
                    !kind.is_empty() && address.len() <= 500 && is_xtext(address)
                })
            }
            _ => return Err("555 5.5.4 Unsupported RCPT parameter"),
        };
        if !is_right {
            return Err("501 5.5.4 Bad value of a RCPT parameter");
        }
    }
    Ok(())
}

fn is_one_of(value: Option<&str>, words: &[&str]) -> bool {
    value.is_some_and(|value| words.iter().any(|word| word.eq_ignore_ascii_case(value)))
}

/// RFC 3461 §4: printable ASCII without `=`, and `+` only before two upper-case hex digits.
fn is_xtext(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_hex =
            |byte: Option<u8>| byte.is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        let is_right = match byte {
            b'+' => is_hex(bytes.next()) && is_hex(bytes.next()),
            b'=' => false,
            other => other.is_ascii_graphic(),
        };
        if !is_right {
            return false;
        }
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_local_part_may_hold_a_bracket() {
        let path = parse("TO:<\"a>b\"@c.example> NOTIFY=NEVER", "TO:").unwrap();
        assert_eq!(path.mailbox, "\"a>b\"@c.example");
        assert_eq!(path.parameters, [("NOTIFY".to_owned(), Some("NEVER".to_owned()))]);
    }

    #[test]
    fn an_address_needs_a_local_part_and_a_domain() {
        for right in ["a@b.example", "a.b+c@d-e.example", "\"a b\"@c.example", "a@[127.0.0.1]"] {
            assert_eq!(check_mailbox(right, false), Ok(()), "{right}");
        }
        for wrong in ["a", "@b.example", "a@", "a b@c.example", "a..b@c.example", "a@b..c", "a@-b"]
        {
            assert!(check_mailbox(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_beyond_ascii_needs_smtputf8() {
        assert!(check_mailbox("müller@d.example", true).is_ok());
        assert!(check_mailbox("müller@d.example", false).unwrap_err().starts_with("553 5.6.7"));
    }
}
