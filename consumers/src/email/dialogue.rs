//! One connection to the relay, from the greeting to the final dot (RFC 5321).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::Encryption;
use super::reply::{Lines, Phase, Reply};
use super::wire::{Broken, Wire};

/// After so many refusals a connection is given up: servers count errors and close.
const MOST_REFUSALS: u32 = 5;

/// How to reach the relay.
pub(super) struct Way {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    pub tls: TlsConnector,
    pub server_name: ServerName<'static>,
    pub hello_name: String,
    pub login: Option<Login>,
    pub open_within: Duration,
    pub reply_within: Duration,
    pub accept_within: Duration,
}

/// Never printed.
pub(super) struct Login {
    pub user: String,
    pub password: String,
}

/// Who sends to whom. All three are ASCII without spaces, brackets or line ends.
pub(super) struct Envelope {
    pub from: String,
    pub to: String,
    /// Comes back in delivery reports (RFC 3461 `ENVID`).
    pub id: String,
}

/// How a dialogue ended, if not with the mail taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Refused(Phase, Reply),
    /// No reply at this phase: the connection broke or was too slow.
    Lost(Phase),
    /// The relay offers no STARTTLS.
    NoStartTls,
    /// The relay offers no login that we know.
    NoLogin,
}

#[derive(Default)]
struct Features {
    starttls: bool,
    pipelining: bool,
    dsn: bool,
    size: bool,
    plain: bool,
    login: bool,
}

/// An open, encrypted, logged-in connection.
pub(super) struct Dialogue {
    wire: Wire<TlsStream<TcpStream>>,
    features: Features,
    reply_within: Duration,
    accept_within: Duration,
    /// Mails taken.
    pub sent: u64,
    refusals: u32,
    /// A refused mail's envelope is still open there.
    is_dirty: bool,
    is_broken: bool,
}

impl Dialogue {
    pub(super) async fn open(way: &Way) -> Result<Self, Ended> {
        timeout(way.open_within, Self::opened(way))
            .await
            .unwrap_or(Err(Ended::Lost(Phase::Greeting)))
    }

    async fn opened(way: &Way) -> Result<Self, Ended> {
        let lost = |phase| move |_| Ended::Lost(phase);
        let address = (way.host.as_str(), way.port);
        let tcp = TcpStream::connect(address).await.map_err(|_| Ended::Lost(Phase::Greeting))?;
        // The final dot leaves in a write of its own and must not wait for an acknowledgement.
        tcp.set_nodelay(true).map_err(|_| Ended::Lost(Phase::Greeting))?;
        let tcp = match way.encryption {
            Encryption::Implicit => tcp,
            Encryption::Starttls => {
                let mut wire = Wire::new(tcp);
                expect(&mut wire, Phase::Greeting, None, way.reply_within).await?;
                if !hello(&mut wire, way).await?.starttls {
                    return Err(Ended::NoStartTls);
                }
                expect(&mut wire, Phase::StartTls, Some("STARTTLS\r\n"), way.reply_within).await?;
                wire.into_io().map_err(lost(Phase::StartTls))?
            }
        };
        let tls = way.tls.connect(way.server_name.clone(), tcp);
        let mut wire = Wire::new(tls.await.map_err(|error| {
            tracing::warn!(host = way.host, %error, "no TLS with the relay");
            Ended::Lost(Phase::StartTls)
        })?);
        if way.encryption == Encryption::Implicit {
            expect(&mut wire, Phase::Greeting, None, way.reply_within).await?;
        }
        // What was learnt in clear is forgotten (RFC 3207 §4.2).
        let features = hello(&mut wire, way).await?;
        let mut dialogue = Self {
            wire,
            features,
            reply_within: way.reply_within,
            accept_within: way.accept_within,
            sent: 0,
            refusals: 0,
            is_dirty: false,
            is_broken: false,
        };
        if let Some(login) = &way.login {
            dialogue.log_in(login).await?;
        }
        Ok(dialogue)
    }

    /// Whether another mail may follow.
    pub(super) fn is_fit(&self, most: u64) -> bool {
        !self.is_broken && self.sent < most && self.refusals < MOST_REFUSALS
    }

    /// Sends one mail. `text` is whole: lines end in CR LF, all is ASCII.
    pub(super) async fn deliver(&mut self, envelope: &Envelope, text: &[u8]) -> Result<(), Ended> {
        let ended = self.delivered(envelope, text).await;
        match ended {
            Ok(()) => self.sent += 1,
            Err(Ended::Refused(_, reply)) => {
                self.refusals += 1;
                self.is_dirty = true;
                // "Service closing transmission channel".
                self.is_broken |= reply.code == 421;
            }
            Err(Ended::Lost(_) | Ended::NoStartTls | Ended::NoLogin) => self.is_broken = true,
        }
        ended
    }

    pub(super) async fn quit(mut self) {
        let patience = Duration::from_secs(5);
        if !self.is_broken && self.wire.write(b"QUIT\r\n", patience).await.is_ok() {
            // Whatever it says, the connection ends here.
            let _ = self.wire.reply(patience).await;
        }
    }

    async fn delivered(&mut self, envelope: &Envelope, text: &[u8]) -> Result<(), Ended> {
        let mut commands = vec![
            (Phase::Mail, self.mail(envelope, text.len())),
            (Phase::Rcpt, self.rcpt(envelope)),
            (Phase::Data, "DATA\r\n".to_owned()),
        ];
        if std::mem::take(&mut self.is_dirty) {
            commands.insert(0, (Phase::Mail, "RSET\r\n".to_owned()));
        }
        if self.features.pipelining {
            self.all_at_once(&commands).await?;
        } else {
            for (phase, command) in &commands {
                expect(&mut self.wire, *phase, Some(command), self.reply_within).await?;
            }
        }
        let lost = |phase| move |_: Broken| Ended::Lost(phase);
        // In two writes: as long as the dot has not left, nothing can have been taken.
        self.wire.write(&stuffed(text), self.accept_within).await.map_err(lost(Phase::Data))?;
        self.wire.write(b".\r\n", self.reply_within).await.map_err(lost(Phase::Dot))?;
        let reply = self.wire.reply(self.accept_within).await.map_err(lost(Phase::Dot))?.reply();
        if reply.code / 100 == 2 { Ok(()) } else { Err(Ended::Refused(Phase::Dot, reply)) }
    }

    /// RFC 2920: one write, then all replies. The first refusal counts.
    async fn all_at_once(&mut self, commands: &[(Phase, String)]) -> Result<(), Ended> {
        let lost = |phase| move |_: Broken| Ended::Lost(phase);
        let written: String = commands.iter().map(|(_, command)| command.as_str()).collect();
        let write = self.wire.write(written.as_bytes(), self.reply_within).await;
        write.map_err(lost(Phase::Mail))?;
        let mut refused = None;
        for (phase, _) in commands {
            let reply = match self.wire.reply(self.reply_within).await {
                Ok(lines) => lines.reply(),
                // A server that refuses and closes has said all there is to say.
                Err(Broken) if refused.is_some() => {
                    self.is_broken = true;
                    break;
                }
                Err(Broken) => return Err(Ended::Lost(*phase)),
            };
            // It waits for a text after having refused the recipient: only closing is clean.
            self.is_broken |= *phase == Phase::Data && reply.code == 354 && refused.is_some();
            if !is_positive(*phase, reply) && refused.is_none() {
                refused = Some(Ended::Refused(*phase, reply));
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn mail(&self, envelope: &Envelope, bytes: usize) -> String {
        let mut command = format!("MAIL FROM:<{}>", envelope.from);
        if self.features.size {
            command.push_str(&format!(" SIZE={bytes}"));
        }
        if self.features.dsn {
            command.push_str(&format!(" RET=HDRS ENVID={}", envelope.id));
        }
        command + "\r\n"
    }

    fn rcpt(&self, envelope: &Envelope) -> String {
        let Envelope { to, .. } = envelope;
        if self.features.dsn {
            let original = xtext(to);
            return format!("RCPT TO:<{to}> NOTIFY=FAILURE,DELAY ORCPT=rfc822;{original}\r\n");
        }
        format!("RCPT TO:<{to}>\r\n")
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Ended> {
        let within = self.reply_within;
        if self.features.plain {
            let secret = BASE64_STANDARD.encode(format!("\0{}\0{}", login.user, login.password));
            let command = format!("AUTH PLAIN {secret}\r\n");
            return expect(&mut self.wire, Phase::Auth, Some(&command), within).await.map(drop);
        }
        if !self.features.login {
            return Err(Ended::NoLogin);
        }
        let coded = |text: &str| BASE64_STANDARD.encode(text) + "\r\n";
        for line in ["AUTH LOGIN\r\n".to_owned(), coded(&login.user), coded(&login.password)] {
            expect(&mut self.wire, Phase::Auth, Some(&line), within).await?;
        }
        Ok(())
    }
}

/// Writes a command, if any, and demands that its reply is positive.
async fn expect<S>(
    wire: &mut Wire<S>,
    phase: Phase,
    command: Option<&str>,
    within: Duration,
) -> Result<Lines, Ended>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let lost = |_| Ended::Lost(phase);
    if let Some(command) = command {
        wire.write(command.as_bytes(), within).await.map_err(lost)?;
    }
    let lines = wire.reply(within).await.map_err(lost)?;
    if is_positive(phase, lines.reply()) {
        Ok(lines)
    } else {
        Err(Ended::Refused(phase, lines.reply()))
    }
}

/// DATA wants 354; a login may ask for more.
fn is_positive(phase: Phase, reply: Reply) -> bool {
    match phase {
        Phase::Data => reply.code == 354,
        Phase::Auth => matches!(reply.code, 200..=299 | 334),
        Phase::Greeting
        | Phase::Ehlo
        | Phase::StartTls
        | Phase::Mail
        | Phase::Rcpt
        | Phase::Dot => reply.code / 100 == 2,
    }
}

async fn hello<S>(wire: &mut Wire<S>, way: &Way) -> Result<Features, Ended>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let command = format!("EHLO {}\r\n", way.hello_name);
    let lines = expect(wire, Phase::Ehlo, Some(&command), way.reply_within).await?;
    let mut features = Features::default();
    for (keyword, rest) in lines.keywords() {
        match keyword.as_str() {
            "STARTTLS" => features.starttls = true,
            "PIPELINING" => features.pipelining = true,
            "DSN" => features.dsn = true,
            "SIZE" => features.size = true,
            "AUTH" => {
                let mut mechanisms = rest.split(' ');
                features.plain |= mechanisms.clone().any(|mechanism| mechanism == "PLAIN");
                features.login |= mechanisms.any(|mechanism| mechanism == "LOGIN");
            }
            _ => {}
        }
    }
    Ok(features)
}

/// The text as it travels: a line that begins with a dot gets another (RFC 5321 §4.5.2), and the last
/// line is ended.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// RFC 3461 §4: everything but printable ASCII without `+` and `=`.
fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(&format!("+{byte:02X}")),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another_and_the_last_is_ended() {
        for (text, expected) in [
            ("a\r\n.\r\n..b\r\n", "a\r\n..\r\n...b\r\n"),
            (".", "..\r\n"),
            ("a.b\r\n", "a.b\r\n"),
            ("", "\r\n"),
        ] {
            assert_eq!(stuffed(text.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn an_original_recipient_is_written_as_xtext() {
        assert_eq!(xtext("a+b=c@d.example"), "a+2Bb+3Dc@d.example");
    }
}
