//! TLS towards providers: our own choice of cryptography and roots, never a process-wide default.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Why no TLS client could be made. Always a matter of configuration or of the machine.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the CA file holds no readable PEM certificate")]
    UnreadableCa,
    #[error("the CA file holds a certificate that cannot be a root")]
    UnusableCa,
    #[error("this machine has no root certificates: install ca-certificates or name a CA file")]
    NoSystemRoots,
    #[error("the TLS library refused its own settings: {0}")]
    Library(rustls::Error),
}

/// A TLS client (1.2 and 1.3, aws-lc-rs) that trusts `ca_pem`, one or more PEM certificates, and
/// nothing else; without it, the machine's own roots. `alpn` in order of preference, may be empty.
///
/// A named CA *replaces* the public roots: who runs a provider of his own, or inspects TLS, has
/// one root, and no other should speak for it.
pub fn client_config(ca_pem: Option<&[u8]>, alpn: &[&[u8]]) -> Result<ClientConfig, TlsError> {
    let roots = match ca_pem {
        Some(pem) => named_roots(pem)?,
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn named_roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TlsError::UnreadableCa)?;
        roots.add(certificate).map_err(|_| TlsError::UnusableCa)?;
    }
    if roots.is_empty() { Err(TlsError::UnreadableCa) } else { Ok(roots) }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    // A machine's store often holds an old certificate that nobody can parse; the others count.
    let (added, _ignored) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 { Err(TlsError::NoSystemRoots) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        for pem in [&b""[..], b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA"] {
            assert!(matches!(client_config(Some(pem), &[]), Err(TlsError::UnreadableCa)));
        }
    }

    #[test]
    fn a_certificate_that_is_no_certificate_is_refused() {
        let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(client_config(Some(pem), &[]), Err(TlsError::UnusableCa)));
    }
}
