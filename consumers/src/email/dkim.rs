//! DKIM signatures (RFC 6376; Ed25519: RFC 8463), relaxed/relaxed, over the exact bytes that are sent.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use schemas::ids::Timestamp;

use super::config::DkimConfig;
use crate::gate::{EdgeError, Keys};

/// Signed where they are present; `from` twice, so that nobody can put a second one before it.
const SIGNED: [&str; 14] = [
    "from",
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "content-language",
    "content-transfer-encoding",
    "auto-submitted",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Signs mails of one domain with one key.
pub(super) struct Signer {
    domain: String,
    selector: String,
    key: Key,
}

impl Signer {
    /// `None` where nothing is configured.
    pub(super) fn open(
        config: &DkimConfig,
        section: &str,
        keys: Keys,
    ) -> Result<Option<Self>, EdgeError> {
        if *config == DkimConfig::default() {
            return Ok(None);
        }
        let name = |key: &str| format!("{section}.{key}");
        for (key, value) in [("domain", &config.domain), ("selector", &config.selector)] {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if value.is_empty() || !value.bytes().all(is_name) {
                return Err(keys.bad(&name(key), format!("{value:?} is not a name of DNS")));
            }
        }
        let pem = keys.read(&name("key_file"), &config.key_file)?;
        let key = read_key(&pem).map_err(|fault| keys.bad(&name("key_file"), fault))?;
        let DkimConfig { domain, selector, .. } = config.clone();
        Ok(Some(Self { domain, selector, key }))
    }

    /// The header field to put before `mail`, its end included. `None` if the library fails to sign.
    pub(super) fn sign(&self, mail: &[u8], now: Timestamp) -> Option<String> {
        let (head, body) = split(mail);
        let fields = fields(head);
        let mut hashed = String::new();
        let mut named = Vec::new();
        let mut taken = Vec::new();
        for name in SIGNED {
            // From the last one up; an absent one is signed as absent (RFC 6376 §5.4.2).
            let found =
                fields.iter().enumerate().rev().find(|(at, (field, _))| {
                    field.eq_ignore_ascii_case(name) && !taken.contains(at)
                });
            if let Some((at, (field, value))) = found {
                taken.push(at);
                hashed.push_str(&relaxed_field(field, value));
                hashed.push_str("\r\n");
            }
            if found.is_some() || name == "from" {
                named.push(name);
            }
        }
        let tags = format!(
            " v=1; a={}; c=relaxed/relaxed; d={};\r\n s={}; t={};\r\n h={};\r\n bh={};\r\n b=",
            self.key.algorithm(),
            self.domain,
            self.selector,
            now.0.div_euclid(1_000),
            named.join(":\r\n  "),
            BASE64_STANDARD.encode(digest(&SHA256, &relaxed_body(body))),
        );
        hashed.push_str(&relaxed_field("DKIM-Signature", &tags));
        let signature = BASE64_STANDARD.encode(self.key.sign(hashed.as_bytes())?);
        let lines = signature.as_bytes().chunks(72).map(String::from_utf8_lossy);
        let folded: Vec<_> = lines.map(|line| format!("\r\n  {line}")).collect();
        Some(format!("DKIM-Signature:{tags}{}\r\n", folded.concat()))
    }
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, hashed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let random = SystemRandom::new();
                key.sign(&RSA_PKCS1_SHA256, &random, hashed, &mut signature).ok()?;
                Some(signature)
            }
            // RFC 8463 §3: the hash is what is signed.
            Self::Ed25519(key) => {
                let hash = digest(&SHA256, hashed);
                Some(key.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }
}

fn read_key(pem: &[u8]) -> Result<Key, &'static str> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
        .map_err(|_| "is not a PEM file with a PKCS#8 private key (BEGIN PRIVATE KEY)")?;
    let der = der.secret_pkcs8_der();
    if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return Ok(Key::Ed25519(key));
    }
    let key = RsaKeyPair::from_pkcs8(der).map_err(|_| "holds neither an RSA nor an Ed25519 key")?;
    if key.public_modulus_len() < 256 {
        return Err("holds an RSA key of less than 2048 bits");
    }
    Ok(Key::Rsa(Box::new(key)))
}

/// Header and body of a mail, without the empty line between them.
fn split(mail: &[u8]) -> (&[u8], &[u8]) {
    let end = mail.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or((mail, &[]), |end| (&mail[..end + 2], &mail[end + 4..]))
}

/// Name and value of each field, values with their folds.
fn fields(head: &[u8]) -> Vec<(String, String)> {
    let head = String::from_utf8_lossy(head);
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split_inclusive("\r\n") {
        match fields.last_mut() {
            Some((_, value)) if line.starts_with([' ', '\t']) => value.push_str(line),
            _ => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    fields
}

/// RFC 6376 §3.4.2, without the line's end.
fn relaxed_field(name: &str, value: &str) -> String {
    let words: Vec<&str> = value.split([' ', '\t', '\r', '\n']).filter(|w| !w.is_empty()).collect();
    format!("{}:{}", name.trim_end().to_ascii_lowercase(), words.join(" "))
}

/// RFC 6376 §3.4.4.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut empty_lines = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let end = line.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
        let line = &line[..end];
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        (0..std::mem::take(&mut empty_lines)).for_each(|_| out.extend_from_slice(b"\r\n"));
        for (at, byte) in line.iter().enumerate() {
            match byte {
                b' ' | b'\t' if line.get(at + 1).is_some_and(is_space) => {}
                b' ' | b'\t' => out.push(b' '),
                byte => out.push(*byte),
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ED25519, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    /// RFC 6376 §3.4.5, the example of the standard.
    #[test]
    fn the_standards_example_is_canonical_as_printed() {
        assert_eq!(relaxed_field("A", " X\r\n"), "a:X");
        assert_eq!(relaxed_field("B ", " Y\t\r\n\tZ  \r\n"), "b:Y Z");
        assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
    }

    #[test]
    fn a_body_of_nothing_is_nothing_and_its_hash_is_the_standards() {
        for body in [&b""[..], b"\r\n", b"\r\n\r\n"] {
            let hash = BASE64_STANDARD.encode(digest(&SHA256, &relaxed_body(body)));
            assert_eq!(hash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        }
        assert_eq!(relaxed_body(b"a"), b"a\r\n");
    }

    const MAIL: &[u8] = b"From: a@a.example\r\nTo: b@b.example\r\nSubject: folded\r\n  here\r\n\
        X-Other: 1\r\nList-Unsubscribe: <https://u.example/t>\r\n\
        List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nHello  \r\n\r\n";

    fn signer(key: Key) -> Signer {
        Signer { domain: "a.example".into(), selector: "s1".into(), key }
    }

    /// What a verifier hashes, put together by other means than the signer: from the signed field.
    fn rehash(mail: &[u8], signature: &str) -> (String, Vec<u8>) {
        let (_, value) = signature.split_once(':').unwrap();
        let compact: String = value.split_whitespace().collect();
        let tag = |name: &str| {
            let found = compact.split(';').find_map(|tag| tag.strip_prefix(name)).unwrap();
            found.to_owned()
        };
        let head = String::from_utf8(split(mail).0.to_vec()).unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut left: Vec<&str> = unfolded.lines().collect();
        let mut hashed = String::new();
        for name in tag("h=").split(':') {
            let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
            if let Some(at) = left.iter().rposition(is_it) {
                let (_, value) = left.remove(at).split_once(':').unwrap();
                let words: Vec<_> = value.split_whitespace().collect();
                hashed.push_str(&format!("{name}:{}\r\n", words.join(" ")));
            }
        }
        let without = &value[..value.rfind("b=").unwrap() + 2];
        let words: Vec<_> = without.split_whitespace().collect();
        hashed.push_str(&format!("dkim-signature:{}", words.join(" ")));
        (hashed, BASE64_STANDARD.decode(tag("b=")).unwrap())
    }

    #[test]
    fn an_rsa_signature_verifies_and_a_changed_field_does_not() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = key.public_key().as_ref().to_vec();
        let der: Pkcs8V1Der = key.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            BASE64_STANDARD.encode(der.as_ref())
        );
        let signature = signer(read_key(pem.as_bytes()).unwrap()).sign(MAIL, Timestamp(0)).unwrap();
        let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        let (hashed, bytes) = rehash(MAIL, &signature);
        assert!(verifier.verify(hashed.as_bytes(), &bytes).is_ok());
        for part in ["a@a.example", "u.example", "one-click", "folded here"] {
            let changed = hashed.replace(part, "x").replace(&part.to_uppercase(), "x");
            if changed != hashed {
                assert!(verifier.verify(changed.as_bytes(), &bytes).is_err(), "{part}");
            }
        }
    }

    #[test]
    fn an_ed25519_signature_verifies() {
        let key = Ed25519KeyPair::generate().unwrap();
        let public = key.public_key().as_ref().to_vec();
        let signature = signer(Key::Ed25519(key)).sign(MAIL, Timestamp(0)).unwrap();
        let (hashed, bytes) = rehash(MAIL, &signature);
        let hash = digest(&SHA256, hashed.as_bytes());
        assert!(UnparsedPublicKey::new(&ED25519, public).verify(hash.as_ref(), &bytes).is_ok());
    }

    /// `openssl genpkey -algorithm ed25519` writes the seed alone (RFC 8410 §7, version 1).
    #[test]
    fn a_key_without_its_public_half_is_read() {
        let prefix = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
        let der = BASE64_STANDARD.encode([&prefix[..], &[7; 32]].concat());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
        assert!(matches!(read_key(pem.as_bytes()), Ok(Key::Ed25519(_))));
    }

    #[test]
    fn a_second_from_and_the_unsubscribe_fields_are_covered() {
        let key = Ed25519KeyPair::generate().unwrap();
        let signature = signer(Key::Ed25519(key)).sign(MAIL, Timestamp(1_000)).unwrap();
        let compact: String = signature.split_whitespace().collect();
        let named = "h=from:from:to:subject:list-unsubscribe:list-unsubscribe-post;";
        assert!(compact.contains(named), "{compact}");
        assert!(compact.contains("t=1;"));
        assert!(signature.lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn a_key_that_is_none_is_refused_with_the_fix() {
        for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(read_key(pem.as_bytes()).is_err());
        }
    }
}
