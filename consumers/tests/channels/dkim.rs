//! A DKIM verifier for tests, written from RFC 6376 and RFC 8463 and sharing nothing with the signer:
//! relaxed/relaxed, every signature of the mail.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use consumers::email::{DkimConfig, EmailConfig};
use tempfile::TempDir;

/// Keys made now, in a folder that goes with the value.
pub struct SigningKeys {
    folder: TempDir,
    rsa: Vec<u8>,
    ed25519: Vec<u8>,
}

type Field = (String, String);

impl SigningKeys {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, der: &[u8]| {
            let pem = BASE64_STANDARD.encode(der);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
            std::fs::write(folder.path().join(name), pem).unwrap();
        };
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der = rsa.as_der().unwrap();
        write("rsa.pem", der.as_ref());
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        write("ed25519.pem", ed25519.to_pkcs8().unwrap().as_ref());
        let (rsa, ed25519) =
            (rsa.public_key().as_ref().to_vec(), ed25519.public_key().as_ref().to_vec());
        Self { folder, rsa, ed25519 }
    }

    /// `config` with two signatures.
    pub fn in_config(&self, config: EmailConfig) -> EmailConfig {
        let dkim = |selector: &str, name: &str| DkimConfig {
            domain: "staffetta.example".into(),
            selector: selector.into(),
            key_file: self.folder.path().join(name),
        };
        EmailConfig {
            dkim: dkim("s1", "rsa.pem"),
            dkim_second: dkim("s2", "ed25519.pem"),
            ..config
        }
    }

    /// Err says what does not hold.
    pub fn verify(&self, mail: &str) -> Result<(), &'static str> {
        let (head, body) = mail.split_once("\r\n\r\n").ok_or("no body")?;
        let mut fields: Vec<Field> = Vec::new();
        for line in head.split("\r\n") {
            if line.starts_with([' ', '\t']) {
                fields.last_mut().ok_or("a fold before a field")?.1.push_str(line);
            } else {
                let (name, value) = line.split_once(':').ok_or("no field")?;
                fields.push((name.trim().to_lowercase(), value.to_owned()));
            }
        }
        let is_signature = |field: &Field| field.0 == "dkim-signature";
        let (signatures, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(is_signature);
        if signatures.len() != 2 {
            return Err("not two signatures");
        }
        signatures.iter().try_for_each(|(_, value)| self.holds(value, fields.clone(), body))
    }

    fn holds(
        &self,
        signature: &str,
        mut fields: Vec<Field>,
        body: &str,
    ) -> Result<(), &'static str> {
        let compact: String = signature.split_whitespace().collect();
        let tag = |name: &str| {
            let found = compact.split(';').find_map(|t| t.strip_prefix(name)?.strip_prefix('='));
            found.ok_or("a tag is missing")
        };
        if tag("c")? != "relaxed/relaxed" {
            return Err("another canonical form");
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
        let verified = match tag("a")? {
            "rsa-sha256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.rsa)
                .verify(hashed.as_bytes(), &bytes),
            "ed25519-sha256" => UnparsedPublicKey::new(&ED25519, &self.ed25519)
                .verify(digest(&SHA256, hashed.as_bytes()).as_ref(), &bytes),
            _ => return Err("another algorithm"),
        };
        verified.map_err(|_| "the signature")
    }
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
