//! A dialogue with the SMTP double, line by line.

use simulators::Smtp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::tls;

pub struct Dialogue<T> {
    io: T,
    input: Vec<u8>,
}

impl Dialogue<TcpStream> {
    /// Connects and reads the greeting.
    pub async fn begin(smtp: &Smtp) -> (Dialogue<TcpStream>, String) {
        let io = TcpStream::connect(smtp.address).await.unwrap();
        let mut dialogue = Dialogue { io, input: Vec::new() };
        let greeting = dialogue.reply().await;
        (dialogue, greeting)
    }

    /// STARTTLS, with whatever is sent in clear behind it.
    pub async fn upgrade(mut self, smtp: &Smtp, behind: &str) -> Dialogue<TlsStream<TcpStream>> {
        self.send(&format!("STARTTLS\r\n{behind}")).await;
        assert!(self.reply().await.starts_with("220 "));
        assert!(self.input.is_empty(), "something was said in clear after STARTTLS");
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let io = tls(&smtp.ca, &[]).connect(name, self.io).await.unwrap();
        Dialogue { io, input: Vec::new() }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Dialogue<T> {
    pub async fn send(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// Sends a command and gives the reply.
    pub async fn say(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.reply().await
    }

    /// The lines of a reply, joined; empty if the connection has ended.
    pub async fn reply(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            while let Some(at) = self.input.windows(2).position(|end| end == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..at + 2).collect();
                let line = String::from_utf8(line).unwrap().trim_end().to_owned();
                let is_last = line.as_bytes().get(3) != Some(&b'-');
                lines.push(line);
                if is_last {
                    return lines.join("\n");
                }
            }
            match self.io.read_buf(&mut self.input).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return lines.join("\n"),
            }
        }
    }

    /// One mail after EHLO; the replies to MAIL, RCPT, DATA and the final dot, as far as it came.
    pub async fn mail(&mut self, to: &str, text: &str) -> Vec<String> {
        let mut replies = Vec::new();
        let commands = ["MAIL FROM:<b@bounce.example>", &format!("RCPT TO:<{to}>"), "DATA"];
        for command in commands {
            replies.push(self.say(command).await);
            if !replies.last().unwrap().starts_with(['2', '3']) {
                return replies;
            }
        }
        replies.push(self.say(&format!("{text}\r\n.")).await);
        replies
    }
}

/// A dialogue over TLS, EHLO said.
pub async fn encrypted(smtp: &Smtp) -> Dialogue<TlsStream<TcpStream>> {
    let (mut dialogue, _) = Dialogue::begin(smtp).await;
    dialogue.say("EHLO client.example").await;
    let mut dialogue = dialogue.upgrade(smtp, "").await;
    dialogue.say("EHLO client.example").await;
    dialogue
}
