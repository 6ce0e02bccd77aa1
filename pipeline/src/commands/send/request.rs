//! From a row to the request that is made of it: where it goes, and under which key. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use reqwest::Url;

/// Which sending a row belongs to: two sendings share no `Idempotency-Key`, two runs of one share all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending(String);

/// Takes in what makes a sending what it is; each part with its length, so that no two parts can be
/// exchanged for others that join to the same bytes.
pub struct Identity(Context);

impl Identity {
    /// `label` tells apart two sendings of the same file on purpose; `template` is its whole text.
    #[must_use]
    pub fn new(label: &str, template: Option<&str>) -> Self {
        let mut identity = Self(Context::new(&SHA256));
        identity.part(b"staffetta send 1");
        identity.part(label.as_bytes());
        identity.part(template.unwrap_or_default().as_bytes());
        identity
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
    }

    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// 128 bits of it, in hex.
    #[must_use]
    pub fn finish(self) -> Sending {
        Sending(hex::encode(&self.0.finish().as_ref()[..16]))
    }
}

impl Sending {
    /// The `Idempotency-Key` of a row: printable, far below the 255 bytes that are taken.
    #[must_use]
    pub fn key(&self, row: u64) -> String {
        format!("{}-{row}", self.0)
    }
}

/// Why a URL cannot be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    #[error("not a URL; write it as https://host or https://host/api/v1")]
    NotAUrl,
    #[error("only https:// and http:// can be sent to")]
    Scheme,
    #[error("write the key into a file and name it by --key-file; a URL is seen by others")]
    Credentials,
    #[error(
        "http:// would carry key and messages in clear to another machine; use https://, or say \
         --plain-http if the network between is yours"
    )]
    InClear,
}

/// The API's base: what was given, with `/api/v1` added unless its path ends so; no query, no fragment.
///
/// # Errors
/// [`BadEndpoint`].
pub fn endpoint(text: &str, plain_http: PlainHttp) -> Result<Url, BadEndpoint> {
    let mut url = Url::parse(text).map_err(|_| BadEndpoint::NotAUrl)?;
    let host = url.host_str().ok_or(BadEndpoint::NotAUrl)?.trim_matches(['[', ']']).to_owned();
    let is_here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match (url.scheme(), plain_http) {
        ("https", _) | ("http", PlainHttp::Anywhere) => {}
        ("http", PlainHttp::ToThisMachine) if is_here => {}
        ("http", PlainHttp::ToThisMachine) => return Err(BadEndpoint::InClear),
        (_, _) => return Err(BadEndpoint::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadEndpoint::Credentials);
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&if path.ends_with(BASE) { path } else { format!("{path}{BASE}") });
    Ok(url)
}

const BASE: &str = "/api/v1";

/// Where unencrypted HTTP may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    ToThisMachine,
    Anywhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(label: &str, template: Option<&str>, file: &str) -> Sending {
        let mut identity = Identity::new(label, template);
        identity.update(file.as_bytes());
        identity.finish()
    }

    #[test]
    fn the_same_file_template_and_label_give_the_same_keys_however_it_is_read() {
        let mut pieces = Identity::new("", None);
        pieces.update(b"a");
        pieces.update(b"b");
        let (once, again) = (sending("", None, "ab"), pieces.finish());
        assert_eq!(once, again);
        assert_eq!(once.key(7), again.key(7));
        assert_ne!(once.key(7), once.key(8));
    }

    #[test]
    fn another_file_template_or_label_is_another_sending() {
        let all = [
            sending("", None, "ab"),
            sending("", None, "abc"),
            sending("a", None, "b"),
            sending("", Some("a"), "b"),
            sending("october", None, "ab"),
            sending("october", Some("a"), "b"),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| other != one), "{place}");
        }
    }

    #[test]
    fn a_key_is_printable_and_short() {
        let key = sending("ü", Some("\n"), "\0").key(u64::MAX);
        assert!(key.len() < 64 && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
    }

    #[test]
    fn the_base_path_is_added_once() {
        let check = |text: &str, expected: &str| {
            let url = endpoint(text, PlainHttp::ToThisMachine);
            assert_eq!(url.map(String::from).as_deref(), Ok(expected), "{text}");
        };
        check("https://api.example", "https://api.example/api/v1");
        check("https://api.example/", "https://api.example/api/v1");
        check("https://api.example/api/v1/", "https://api.example/api/v1");
        check("https://api.example/io?x#y", "https://api.example/io/api/v1");
        check("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v1");
        check("http://[::1]:8080", "http://[::1]:8080/api/v1");
        check("http://localhost:1/api/v1", "http://localhost:1/api/v1");
    }

    #[test]
    fn what_must_not_be_sent_to_is_refused() {
        let check = |text: &str, expected: BadEndpoint| {
            assert_eq!(endpoint(text, PlainHttp::ToThisMachine), Err(expected), "{text}");
        };
        check("api.example", BadEndpoint::NotAUrl);
        check("ftp://api.example", BadEndpoint::Scheme);
        check("https://me:secret@api.example", BadEndpoint::Credentials);
        check("http://api.example", BadEndpoint::InClear);
        check("http://10.0.0.1:8080", BadEndpoint::InClear);
        assert!(endpoint("http://10.0.0.1:8080", PlainHttp::Anywhere).is_ok());
    }
}
