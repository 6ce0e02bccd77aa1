//! Clients and signers of the tests. Nothing here knows the crate's insides.

pub mod apns;
pub mod fcm;
pub mod frames;
pub mod http;
pub mod jwt;
pub mod smtp;

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use simulators::{Config, Simulators};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Running doubles with the folder that they live in.
pub struct Doubles {
    pub running: Simulators,
    _folder: TempDir,
}

/// Starts doubles on which scripted seconds take milliseconds.
pub async fn doubles(change: impl FnOnce(&mut Config)) -> Doubles {
    let folder = tempfile::tempdir().unwrap();
    let mut config =
        Config { folder: folder.path().to_owned(), time_scale: 1000.0, ..Config::default() };
    change(&mut config);
    Doubles { running: simulators::start(config).await.unwrap(), _folder: folder }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn tls(ca: &Path, alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

pub async fn connect(
    address: std::net::SocketAddr,
    ca: &Path,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tls(ca, alpn).connect(name, socket).await
}
