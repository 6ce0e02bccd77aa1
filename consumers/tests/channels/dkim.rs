//! A DKIM verifier for tests, written from RFC 6376 and sharing nothing with the signer: one RSA
//! signature, relaxed/relaxed.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use consumers::email::{DkimConfig, EmailConfig};

/// The configuration with a key made now, and its public half. The key's file may go afterwards only.
pub fn signing(config: EmailConfig) -> (EmailConfig, Vec<u8>) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = key.as_der().unwrap();
    let pem = BASE64_STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    let folder = tempfile::tempdir().unwrap().keep();
    let key_file = folder.join("dkim.pem");
    std::fs::write(&key_file, pem).unwrap();
    let dkim = DkimConfig { domain: "staffetta.example".into(), selector: "s1".into(), key_file };
    (EmailConfig { dkim, ..config }, key.public_key().as_ref().to_vec())
}

/// Err says what does not hold.
pub fn verify(mail: &str, public_key: &[u8]) -> Result<(), &'static str> {
    let (head, body) = mail.split_once("\r\n\r\n").ok_or("no body")?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            fields.last_mut().ok_or("a fold before a field")?.1.push_str(line);
        } else {
            let (name, value) = line.split_once(':').ok_or("no field")?;
            fields.push((name.trim().to_lowercase(), value.to_owned()));
        }
    }
    let at = fields.iter().position(|(name, _)| name == "dkim-signature").ok_or("unsigned")?;
    let (_, signature) = fields.remove(at);
    let compact: String = signature.split_whitespace().collect();
    let tag = |name: &str| {
        let found = compact.split(';').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='));
        found.ok_or("a tag is missing")
    };
    if tag("c")? != "relaxed/relaxed" || tag("a")? != "rsa-sha256" {
        return Err("another algorithm");
    }
    if BASE64_STANDARD.encode(digest(&SHA256, &canonical(body))) != tag("bh")? {
        return Err("the body's hash");
    }
    let words = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut hashed = String::new();
    for name in tag("h")?.split(':') {
        if let Some(at) = fields.iter().rposition(|(field, _)| field == name) {
            let (_, value) = fields.remove(at);
            hashed.push_str(&format!("{name}:{}\r\n", words(&value)));
        }
    }
    let unsigned = &signature[..signature.rfind("b=").ok_or("a tag is missing")? + 2];
    hashed.push_str(&format!("dkim-signature:{}", words(unsigned)));
    let bytes = BASE64_STANDARD.decode(tag("b")?).map_err(|_| "not base64")?;
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key);
    verifier.verify(hashed.as_bytes(), &bytes).map_err(|_| "the signature")
}

/// Inner whitespace as one space, none at the ends of lines, no empty lines at the end.
fn canonical(body: &str) -> Vec<u8> {
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let words: Vec<_> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            let indent = if line.starts_with([' ', '\t']) && !words.is_empty() { " " } else { "" };
            format!("{indent}{}", words.join(" "))
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect()
}
