//! What the demo stands in for: providers, an identity provider, and the settings that point at them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use simulators::Simulators;

use super::Options;
use crate::commands::{executor, print, stopped};
use crate::config::{self, Settings};

/// Issuer and audience of the demo's tokens.
pub const ISSUER: &str = "https://identity.demo.example";
pub const AUDIENCE: &str = "staffetta-demo";

/// What the simulators alone may be told.
#[derive(Debug, Args)]
pub struct SimOptions {
    /// Folder for certificates and keys.
    #[arg(long, default_value = "simulators")]
    folder: PathBuf,
    /// How much faster than real scripted waits pass.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Answer 200 to everything, check and keep nothing: for benchmarks.
    #[arg(long)]
    null: bool,
}

/// Runs the simulators until Ctrl-C.
///
/// # Errors
/// No port, no folder.
pub fn simulate(options: &SimOptions) -> anyhow::Result<()> {
    executor()?.block_on(async {
        let mode = if options.null { simulators::Mode::Null } else { simulators::Mode::Validating };
        let config = simulators::Config {
            folder: options.folder.clone(),
            time_scale: options.time_scale,
            mode,
            ..simulators::Config::default()
        };
        let running = simulators::start(config).await?;
        print(&serde_json::to_string_pretty(&addresses(&running))?);
        stopped().await?;
        running.shutdown().await;
        Ok(())
    })
}

/// Where the simulators are, in the shape of the ready file.
pub fn addresses(simulators: &Simulators) -> serde_json::Value {
    let (apns, fcm, smtp) = (&simulators.apns, &simulators.fcm, &simulators.smtp);
    let admin = |address| format!("http://{address}");
    json!({
        "apns": {
            "url": format!("https://{}", apns.address), "ca": apns.ca, "key": apns.key,
            "key_id": apns.key_id, "team_id": apns.team_id, "topic": apns.topic,
            "admin": admin(apns.admin),
        },
        "fcm": {
            "url": format!("https://{}", fcm.address), "token_uri": fcm.token_uri, "ca": fcm.ca,
            "service_account": fcm.service_account, "project_id": fcm.project_id,
            "admin": admin(fcm.admin),
        },
        "smtp": { "address": smtp.address.to_string(), "ca": smtp.ca, "admin": admin(smtp.admin) },
    })
}

/// The demo's surroundings; the folder goes with it unless the user named one.
pub struct World {
    simulators: Simulators,
    signing_key: EncodingKey,
    temporary: Option<PathBuf>,
}

impl World {
    pub fn simulators(&self) -> &Simulators {
        &self.simulators
    }

    /// A bearer token as the identity provider would make it, valid for a day.
    pub fn token(&self, fiscal_code: &str) -> anyhow::Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "iat": now, "exp": now + 86_400,
            "sub": "demo", "fiscal_code": format!("TINIT-{fiscal_code}"),
        });
        let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(jsonwebtoken::encode(&header, &claims, &self.signing_key)?)
    }

    /// Ends the simulators and removes what was only for this run.
    pub async fn end(self) {
        self.simulators.shutdown().await;
        if let Some(folder) = self.temporary {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Starts simulators and identity provider; gives the settings that point at them.
pub async fn prepare(options: &Options) -> anyhow::Result<(World, Settings)> {
    let (folder, temporary) = match &options.data {
        Some(folder) => (folder.clone(), None),
        None => {
            let name = format!("staffetta-demo-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            (folder.clone(), Some(folder))
        }
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let config = simulators::Config {
        folder: folder.join("simulators"),
        time_scale: options.time_scale,
        ..simulators::Config::default()
    };
    let running = simulators::start(config).await?;
    let (signing_key, jwks) = identity(&folder)?;
    let settings = settings(options, &folder, &running, &jwks)?;
    Ok((World { simulators: running, signing_key, temporary }, settings))
}

/// A signing key made for this run and the key set that it is published in.
fn identity(folder: &Path) -> anyhow::Result<(EncodingKey, PathBuf)> {
    use base64::Engine as _;
    let pair = rcgen::KeyPair::generate()?;
    let point = pair.public_key_raw();
    anyhow::ensure!(point.len() == 65, "the demo's key is no P-256 point");
    let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let jwks = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "demo",
        "x": text(&point[1..33]), "y": text(&point[33..]),
    }]});
    let file = folder.join("jwks.json");
    std::fs::write(&file, serde_json::to_vec(&jwks)?)?;
    Ok((EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?, file))
}

fn settings(
    options: &Options,
    folder: &Path,
    simulators: &Simulators,
    jwks: &Path,
) -> anyhow::Result<Settings> {
    let (apns, fcm, smtp) = (&simulators.apns, &simulators.fcm, &simulators.smtp);
    let mut set: Vec<(&str, String)> = vec![
        ("TIME_SCALE", format!("{:?}", options.time_scale)),
        ("SIMULATED_PROVIDERS", "true".into()),
        ("LOG__FOLDER", path(&folder.join("log"))),
        ("KEYRING__FILE", path(&folder.join("keyring.json"))),
        ("KEYRING__CREATE", "true".into()),
        ("STORE__FOLDER", path(&folder.join("objects"))),
        ("SENDER_API__LISTEN", options.listen.clone()),
        ("CITIZEN_API__LISTEN", "127.0.0.1:0".into()),
        ("CITIZEN_API__ISSUER", ISSUER.into()),
        ("CITIZEN_API__AUDIENCE", AUDIENCE.into()),
        ("CITIZEN_API__JWKS", path(jwks)),
        ("OPERATIONS__LISTEN", "127.0.0.1:0".into()),
        ("INGEST__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]".into()),
        ("APNS__ENABLED", "true".into()),
        ("APNS__URL", format!("https://{}", apns.address)),
        ("APNS__POOL__ANSWER_WITHIN_MS", "1000".into()),
        ("APNS__POOL__OPEN_SPACING_MS", "20".into()),
        ("APNS__CA_FILE", path(&apns.ca)),
        ("APNS__KEY_FILE", path(&apns.key)),
        ("APNS__KEY_ID", apns.key_id.clone()),
        ("APNS__TEAM_ID", apns.team_id.clone()),
        ("APNS__TOPIC", apns.topic.clone()),
        ("FCM__ENABLED", "true".into()),
        ("FCM__URL", format!("https://{}", fcm.address)),
        ("FCM__POOL__ANSWER_WITHIN_MS", "1000".into()),
        ("FCM__POOL__OPEN_SPACING_MS", "20".into()),
        ("FCM__CA_FILE", path(&fcm.ca)),
        ("FCM__ACCOUNT_FILE", path(&fcm.service_account)),
        ("EMAIL__ENABLED", "true".into()),
        ("EMAIL__HOST", "localhost".into()),
        ("EMAIL__PORT", smtp.address.port().to_string()),
        ("EMAIL__CA_FILE", path(&smtp.ca)),
        ("EMAIL__FROM", "Staffetta <avvisi@staffetta.example>".into()),
        ("EMAIL__LINK", "https://app.staffetta.example".into()),
        ("EMAIL__UNSUBSCRIBE_URL", "https://cittadini.staffetta.example/unsubscribe".into()),
        ("EMAIL__VALIDATION_URL", "https://cittadini.staffetta.example/mailbox".into()),
        ("EMAIL__BOUNCE_DOMAIN", "bounce.staffetta.example".into()),
        ("EMAIL__DKIM__DOMAIN", "staffetta.example".into()),
        ("EMAIL__DKIM__SELECTOR", "demo".into()),
        ("EMAIL__DKIM__KEY_FILE", path(&dkim(folder)?)),
    ];
    if let Some(kafka) = &options.kafka {
        set.push(("LOG__KIND", "kafka".into()));
        set.push(("LOG__BOOTSTRAP", kafka.clone()));
        set.push(("LOG__PREFIX", format!("demo-{}-", std::process::id())));
        set.push(("LOG__REPLICATION", "1".into()));
        set.push(("LOG__PARTITIONS", "4".into()));
    }
    if let Some(redis) = &options.redis {
        set.push(("DIRECTORY__KIND", "redis".into()));
        set.push(("DIRECTORY__REDIS_URL", format!("redis://{redis}")));
        set.push(("DIRECTORY__REDIS_PREFIX", format!("demo-{}", std::process::id())));
    }
    let variables = set.into_iter().map(|(key, value)| (format!("STAFFETTA_{key}"), value));
    Ok(config::load(None, variables)?)
}

/// A key for signing mail, made for this run.
fn dkim(folder: &Path) -> anyhow::Result<PathBuf> {
    let file = folder.join("dkim.pem");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    std::fs::write(&file, pair.serialize_pem())?;
    Ok(file)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
