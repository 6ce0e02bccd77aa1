//! AUTH PLAIN (RFC 4616) and LOGIN (the expired draft that all mail clients speak).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::Credentials;

/// What the double waits for in an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Plain,
    LoginUser,
    LoginPassword { user: String },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Granted,
    Refused(&'static str),
    /// Ask on: the challenge, and what the answer to it will mean.
    Ask(&'static str, Exchange),
}

const SYNTAX: Verdict = Verdict::Refused("501 5.5.2 Cannot decode the response");
const WRONG: Verdict = Verdict::Refused("535 5.7.8 Authentication credentials invalid");
const ASK_PLAIN: &str = "334 ";
const ASK_USER: &str = "334 VXNlcm5hbWU6";
const ASK_PASSWORD: &str = "334 UGFzc3dvcmQ6";

/// Begins with the argument of AUTH: a mechanism, and perhaps an initial response.
pub(super) fn begin(argument: &str, wanted: Option<&Credentials>) -> Verdict {
    let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
    let (ask, exchange) = match mechanism.to_ascii_uppercase().as_str() {
        "PLAIN" => (ASK_PLAIN, Exchange::Plain),
        "LOGIN" => (ASK_USER, Exchange::LoginUser),
        _ => return Verdict::Refused("504 5.5.4 Unrecognised authentication type"),
    };
    match initial {
        "" => Verdict::Ask(ask, exchange),
        // RFC 4954 §4: a response of no characters is written `=`.
        "=" => go_on(exchange, "", wanted),
        initial => go_on(exchange, initial, wanted),
    }
}

/// Goes on with a line of the client.
pub(super) fn go_on(exchange: Exchange, line: &str, wanted: Option<&Credentials>) -> Verdict {
    if line == "*" {
        return Verdict::Refused("501 5.7.0 Authentication cancelled");
    }
    let Some(text) = STANDARD.decode(line).ok().and_then(|text| String::from_utf8(text).ok())
    else {
        return SYNTAX;
    };
    match exchange {
        Exchange::Plain => {
            let parts: Vec<&str> = text.split('\0').collect();
            let [_authorization, user, password] = parts[..] else { return SYNTAX };
            check(user, password, wanted)
        }
        Exchange::LoginUser => Verdict::Ask(ASK_PASSWORD, Exchange::LoginPassword { user: text }),
        Exchange::LoginPassword { user } => check(&user, &text, wanted),
    }
}

fn check(user: &str, password: &str, wanted: Option<&Credentials>) -> Verdict {
    match wanted {
        Some(wanted) if wanted.user != user || wanted.password != password => WRONG,
        Some(_) | None => Verdict::Granted,
    }
}
