//! TLS for a listener, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where a listener's certificate lies.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Leaf first, then what links it to its root.
    pub certificates: PathBuf,
    pub key: PathBuf,
    /// Clients that show a certificate are checked against these; showing none is allowed.
    pub client_authorities: Option<PathBuf>,
}

/// What is wrong with the files. Start-up only; names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}: not a readable PEM file of the expected kind")]
    File(PathBuf),
    #[error("{0}: no certificate in it")]
    Empty(PathBuf),
    #[error("certificate and key do not serve together: {0}")]
    Mismatch(rustls::Error),
    #[error("client authorities cannot be used: {0}")]
    Authorities(String),
}

/// TLS 1.2 and 1.3, offering `h2` and `http/1.1`.
///
/// # Errors
/// [`TlsError`]: the operator's configuration.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates(&files.certificates)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|_| TlsError::File(files.key.clone()))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| TlsError::Authorities(e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|e| TlsError::Authorities(e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = || TlsError::File(path.to_owned());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|_| unreadable())?
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable())?;
    if found.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(found) }
}
