//! The binary as an operator runs it: simulated providers, onboarding by command, one `run`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_staffetta");
/// Waits of providers, retries and times to live pass so much faster than real ones.
const TIME_SCALE: &str = "600.0";
const ISSUER: &str = "https://identity.example";
const AUDIENCE: &str = "staffetta";

/// An installation in a folder of its own. What it keeps lies in `data`, what its processes said in
/// `said`, what stands around it (input files, simulators) in `outside`.
pub struct Installation {
    folder: TempDir,
    variables: Vec<(String, String)>,
    pub simulators: Value,
    identity: EncodingKey,
    children: Vec<Child>,
}

/// Where the doors of a running process are.
pub struct Doors {
    pub sender: String,
    pub citizen: String,
    pub operations: String,
}

impl Installation {
    /// Simulators run, a keyring is made; `more` adds settings to those of the embedded log.
    pub async fn prepare(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["data", "said", "outside"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let (identity, keys) = identity();
        std::fs::write(folder.path().join("outside/jwks.json"), keys.to_string()).unwrap();
        let mut made = Self {
            folder,
            variables: Vec::new(),
            simulators: Value::Null,
            identity,
            children: Vec::new(),
        };
        made.simulators = made.simulate().await;
        made.variables = made.settings();
        let more = more.iter().map(|(key, value)| (format!("STAFFETTA_{key}"), value.to_string()));
        made.variables.extend(more);
        made.command("keys", &["keys", "create"]);
        made.command("topics", &["topics", "apply"]);
        made
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    /// A file that the operator hands to a command.
    pub fn outside(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join("outside").join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// Runs a command to its end; what it says is kept. It must succeed.
    pub fn command(&self, name: &str, arguments: &[&str]) -> String {
        let status = self.start(name, arguments).wait().unwrap();
        let said =
            |end| std::fs::read_to_string(self.said().join(format!("{name}.{end}"))).unwrap();
        assert!(status.success(), "{arguments:?}: {}", said("err"));
        said("out")
    }

    /// Starts a process that belongs to the installation.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Child {
        self.start_with(name, arguments, &[])
    }

    fn start_with(&self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Child {
        let file = |end| File::create(self.said().join(format!("{name}.{end}"))).unwrap();
        Command::new(BINARY)
            .args(arguments)
            .envs(self.variables.iter().map(|(key, value)| (key, value)))
            .envs(more.iter().map(|(key, value)| (format!("STAFFETTA_{key}"), value)))
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap()
    }

    /// `run`, until all its doors answer and its views are ready.
    pub async fn run(&mut self) -> Doors {
        self.run_as("run", &["run"], &[]).await
    }

    /// Another process, with settings of its own.
    pub async fn run_as(&mut self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Doors {
        let child = self.start_with(name, arguments, more);
        self.children.push(child);
        let log = self.said().join(format!("{name}.err"));
        let line = text_with(&log, "running; SIGTERM").await;
        let door = |name: &str| {
            let rest = line.split_once(&format!("{name}: Some(")).unwrap().1;
            format!("http://{}", rest.split_once(')').unwrap().0)
        };
        let doors = Doors {
            sender: door("sender_api"),
            citizen: door("citizen_api"),
            operations: door("operations"),
        };
        let client = reqwest::Client::new();
        let ready = format!("{}/readyz", doors.operations);
        until("the installation is ready", async || {
            client.get(&ready).send().await.unwrap().status() == 200
        })
        .await;
        doors
    }

    /// Ends what `run` started, as an operator does; it must drain and end well.
    pub fn end(&mut self) {
        let mut run = self.children.pop().unwrap();
        kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGTERM).unwrap();
        assert!(run.wait().unwrap().success(), "a drained process ends well");
    }

    /// Ends what was started last without a word.
    pub fn kill(&mut self) {
        let mut run = self.children.pop().unwrap();
        run.kill().unwrap();
        run.wait().unwrap();
    }

    /// A bearer token as the identity provider makes it.
    pub fn token(&self, fiscal_code: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "iat": now, "exp": now + 3_600,
            "fiscal_code": format!("TINIT-{fiscal_code}"),
        });
        let header = Header { kid: Some("law".to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.identity).unwrap()
    }

    async fn simulate(&mut self) -> Value {
        let folder = self.folder.path().join("outside");
        let said = folder.join("simulators.json");
        let child = Command::new(BINARY)
            .args(["sim", "--time-scale", TIME_SCALE, "--folder"])
            .arg(folder.join("simulators"))
            .stdin(Stdio::null())
            .stdout(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        self.children.insert(0, child);
        until("the simulators are there", async || {
            serde_json::from_slice::<Value>(&std::fs::read(&said).unwrap()).is_ok()
        })
        .await;
        serde_json::from_slice(&std::fs::read(said).unwrap()).unwrap()
    }

    fn settings(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let of = |place: &str| self.simulators.pointer(place).unwrap().as_str().unwrap().to_owned();
        let relay = of("/smtp/address");
        let set = [
            ("TIME_SCALE", TIME_SCALE.to_owned()),
            ("SIMULATED_PROVIDERS", "true".to_owned()),
            ("LOG__FOLDER", path("data/log")),
            ("LOG__PARTITIONS", "2".to_owned()),
            ("KEYRING__FILE", path("data/keyring.json")),
            ("STORE__FOLDER", path("data/objects")),
            ("SENDER_API__LISTEN", "127.0.0.1:0".to_owned()),
            ("CITIZEN_API__LISTEN", "127.0.0.1:0".to_owned()),
            ("OPERATIONS__LISTEN", "127.0.0.1:0".to_owned()),
            ("OPERATIONS__LOG_FILTER", "trace".to_owned()),
            ("CITIZEN_API__ISSUER", ISSUER.to_owned()),
            ("CITIZEN_API__AUDIENCE", AUDIENCE.to_owned()),
            ("CITIZEN_API__JWKS", path("outside/jwks.json")),
            ("INGEST__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]".to_owned()),
            ("APNS__ENABLED", "true".to_owned()),
            ("APNS__URL", of("/apns/url")),
            ("APNS__CA_FILE", of("/apns/ca")),
            ("APNS__KEY_FILE", of("/apns/key")),
            ("APNS__KEY_ID", of("/apns/key_id")),
            ("APNS__TEAM_ID", of("/apns/team_id")),
            ("APNS__TOPIC", of("/apns/topic")),
            ("APNS__POOL__ANSWER_WITHIN_MS", "1000".to_owned()),
            ("FCM__ENABLED", "true".to_owned()),
            ("FCM__URL", of("/fcm/url")),
            ("FCM__CA_FILE", of("/fcm/ca")),
            ("FCM__ACCOUNT_FILE", of("/fcm/service_account")),
            ("FCM__POOL__ANSWER_WITHIN_MS", "1000".to_owned()),
            ("EMAIL__ENABLED", "true".to_owned()),
            ("EMAIL__HOST", "localhost".to_owned()),
            ("EMAIL__PORT", relay.rsplit_once(':').unwrap().1.to_owned()),
            ("EMAIL__CA_FILE", of("/smtp/ca")),
            ("EMAIL__FROM", "Staffetta <avvisi@staffetta.example>".to_owned()),
            ("EMAIL__LINK", "https://app.staffetta.example".to_owned()),
            (
                "EMAIL__UNSUBSCRIBE_URL",
                "https://cittadini.staffetta.example/unsubscribe".to_owned(),
            ),
            ("EMAIL__VALIDATION_URL", "https://cittadini.staffetta.example/mailbox".to_owned()),
            ("EMAIL__BOUNCE_DOMAIN", "bounce.staffetta.example".to_owned()),
        ];
        set.map(|(key, value)| (format!("STAFFETTA_{key}"), value)).to_vec()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A signing key, and the key set in which it is published.
fn identity() -> (EncodingKey, Value) {
    use base64::Engine as _;
    let pair = rcgen::KeyPair::generate().unwrap();
    let point = pair.public_key_raw();
    let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let keys = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "law",
        "x": text(&point[1..33]), "y": text(&point[33..]),
    }]});
    (EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(), keys)
}

/// Waits until it holds, for at most a minute.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..1_200 {
        looks.tick().await;
        if holds().await {
            return;
        }
    }
    panic!("not within a minute: {what}");
}

/// The line of a file that holds `mark`, once it is there.
async fn text_with(file: &Path, mark: &str) -> String {
    let find = || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().find(|line| line.contains(mark)).map(str::to_owned)
    };
    until(&format!("{} says {mark}", file.display()), async || find().is_some()).await;
    find().unwrap()
}
