//! Redis for tests: the shared one that the environment names, or one of a test's own.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::process::{Child, Command};

/// The address of the shared server.
pub fn shared() -> String {
    let address = std::env::var("STAFFETTA_TEST_REDIS").unwrap_or_else(|_| {
        panic!(
            "no Redis to test on: run `cargo xtask test`, or set STAFFETTA_TEST_REDIS=host:port to \
             a Redis 7 that may be filled with rubbish"
        )
    });
    format!("redis://{address}")
}

/// A name that no other test's keys begin with.
pub fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.expect("after 1970").as_nanos();
    format!("test-{now}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A server of a test's own, on a socket file, so that no port is needed; it ends with the test.
pub struct Own {
    folder: std::path::PathBuf,
    options: Vec<String>,
    child: Option<Child>,
}

impl Own {
    pub async fn start(options: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(name());
        std::fs::create_dir_all(&folder).expect("a folder");
        let options = options.iter().map(|it| (*it).to_owned()).collect();
        let mut own = Self { folder, options, child: None };
        own.again().await;
        own
    }

    /// Starts the same server again, with whatever it saved.
    pub async fn again(&mut self) {
        let socket = self.folder.join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.options)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("redis-server must be installed: run `cargo xtask test`"));
        for _ in 0..1_000 {
            let mut ping = redis::cmd("PING");
            if self.ask::<String>(ping.arg("up")).await.is_ok_and(|answer| answer == "up") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server did not answer within ten seconds");
    }

    /// Ends it as a power cut would: what was not saved is gone.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it can be ended");
        }
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.join("socket").display())
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }

    pub async fn command(&self, name: &str, arguments: &[&str]) {
        let mut command = redis::cmd(name);
        let done: redis::RedisResult<redis::Value> = self.ask(command.arg(arguments)).await;
        done.expect("the server takes the command");
    }

    /// All keys, sorted.
    pub async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(redis::cmd("KEYS").arg("*")).await.expect("up");
        keys.sort();
        keys
    }

    /// How often `command` (in lower case) was called.
    pub async fn calls(&self, command: &str) -> usize {
        let info: String = self.ask(redis::cmd("INFO").arg("commandstats")).await.expect("up");
        let line = format!("cmdstat_{command}:calls=");
        let calls = info.lines().find_map(|it| it.strip_prefix(&line)?.split(',').next());
        calls.map_or(0, |calls| calls.parse().expect("a number"))
    }

    /// The hashes in which the groups of the view `name` hold what they know of themselves.
    async fn views(&self, name: &str) -> Vec<String> {
        let mut keys = self.keys().await;
        keys.retain(|key| key.starts_with(&format!("{{{name}.")) && key.ends_with(":view"));
        keys
    }

    /// Sets one field of every group of the view `name`.
    pub async fn set_all(&self, name: &str, field: &str, value: &str) {
        for key in self.views(name).await {
            self.command("HSET", &[&key, field, value]).await;
        }
    }

    /// Puts every position of the view `name` back to the beginning, as an older copy would have it.
    pub async fn set_back(&self, name: &str) {
        for key in self.views(name).await {
            let fields: Vec<String> = self.ask(redis::cmd("HKEYS").arg(&key)).await.expect("up");
            for field in fields.iter().filter(|field| field.starts_with("o:")) {
                self.command("HSET", &[&key, field, "0"]).await;
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An address in front of [`Own`] servers, as a service's name is: what is open stays where it is, a new
/// connection is led to whichever server stands behind it now.
pub struct Door {
    pub url: String,
    behind: Arc<Mutex<Option<std::path::PathBuf>>>,
    visits: Arc<AtomicU32>,
}

impl Door {
    /// Leads nowhere yet: whoever comes is turned away.
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let door = Self { url, behind: Arc::default(), visits: Arc::default() };
        let (behind, visits) = (Arc::clone(&door.behind), Arc::clone(&door.visits));
        tokio::spawn(async move {
            while let Ok((mut outer, _)) = listener.accept().await {
                visits.fetch_add(1, Ordering::Relaxed);
                let Some(socket) = behind.lock().clone() else { continue };
                tokio::spawn(async move {
                    let inner = tokio::net::UnixStream::connect(socket).await;
                    let mut inner = inner.expect("the server is up");
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        door
    }

    pub fn lead_to(&self, own: &Own) {
        *self.behind.lock() = Some(own.folder.join("socket"));
    }

    pub fn visits(&self) -> u32 {
        self.visits.load(Ordering::Relaxed)
    }
}

/// TLS in front of an [`Own`] server, on a port of its own, with an authority made for it.
pub struct Tls {
    pub url: String,
    pub authority: String,
}

impl Tls {
    pub async fn before(own: &Own) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
        let certificate = parameters.expect("a name").self_signed(&key).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = key.serialize_der().try_into().expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("key and certificate go together");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let socket = own.folder.join("socket");
        tokio::spawn(async move {
            while let Ok((outer, _)) = listener.accept().await {
                let (acceptor, socket) = (acceptor.clone(), socket.clone());
                tokio::spawn(async move {
                    // A client that does not trust us leaves during the handshake.
                    let Ok(mut outer) = acceptor.accept(outer).await else { return };
                    let inner = tokio::net::UnixStream::connect(socket).await;
                    let mut inner = inner.expect("the server is up");
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        Self { url: format!("rediss://localhost:{port}"), authority: certificate.pem() }
    }
}
