//! The doubles' own certificate authority: made at every start, known to nobody, written as PEM.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::StartError;

pub(crate) struct Authority {
    pub(crate) ca: PathBuf,
    folder: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Authority {
    /// Makes a CA and one leaf for `localhost` and 127.0.0.1. A leaf of its own, because rustls
    /// refuses a CA certificate as a server's.
    pub(crate) fn create(folder: &Path) -> Result<Authority, StartError> {
        fs::create_dir_all(folder)
            .map_err(|cause| StartError::Folder { what: "the folder itself", cause })?;
        let folder = folder
            .canonicalize()
            .map_err(|cause| StartError::Folder { what: "the folder itself", cause })?;

        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Staffetta simulators CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);

        let leaf_key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let leaf_certificate = leaf.signed_by(&leaf_key, &issuer)?;

        let ca = folder.join("ca.pem");
        fs::write(&ca, ca_certificate.pem())
            .map_err(|cause| StartError::Folder { what: "ca.pem", cause })?;
        let key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
        Ok(Authority { ca, folder, chain: vec![leaf_certificate.der().clone()], key })
    }

    /// TLS 1.2 and 1.3 with this leaf. The crypto provider is named, so that no process-wide
    /// default is needed or set.
    pub(crate) fn tls(&self, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, StartError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), PrivateKeyDer::Pkcs8(self.key.clone_key()))?;
        tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(tls))
    }

    /// Writes a secret into the folder, readable by its owner only.
    pub(crate) fn write_secret(
        &self,
        name: &str,
        what: &'static str,
        text: &str,
    ) -> Result<PathBuf, StartError> {
        let path = self.folder.join(name);
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path)?.write_all(text.as_bytes())
        };
        write().map_err(|cause| StartError::Folder { what, cause })?;
        Ok(path)
    }
}
