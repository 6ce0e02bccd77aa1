//! HTTP/1.1 and HTTP/2, plain and by TLS, and the end of serving.

use std::net::SocketAddr;
use std::time::Duration;

use policy::admit::group::{Group, Groups};
use producers::http::{TlsError, TlsFiles, server_config};
use reqwest::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{Api, PLAIN, SANDBOX, Setup, a_body, client};

/// Sends bytes and gives all that comes back until the other side closes.
pub async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

struct Files {
    _folder: tempfile::TempDir,
    tls: TlsFiles,
    certificate: String,
}

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = TlsFiles {
        certificates: folder.path().join("certificate.pem"),
        key: folder.path().join("key.pem"),
        client_authorities: None,
    };
    let certificate = made.cert.pem();
    std::fs::write(&tls.certificates, &certificate).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    Files { _folder: folder, tls, certificate }
}

#[tokio::test]
async fn both_versions_are_spoken_over_plain_text() {
    let api = Api::start().await;
    for (client, version) in [
        (client().http1_only(), Version::HTTP_11),
        (client().http2_prior_knowledge(), Version::HTTP_2),
    ] {
        let request = client.build().unwrap().post(api.url("/messages"));
        let request = request.header("Ocp-Apim-Subscription-Key", api.key(PLAIN));
        let response = request.json(&a_body()).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (201, version));
    }
}

#[tokio::test]
async fn both_versions_are_spoken_over_tls() {
    let files = files();
    let tls = Some(server_config(&files.tls).unwrap());
    let api = Api::with(Setup { tls, ..Setup::default() }).await;
    let root = reqwest::Certificate::from_pem(files.certificate.as_bytes()).unwrap();
    for (client, version) in
        [(client().http1_only(), Version::HTTP_11), (client(), Version::HTTP_2)]
    {
        let client = client.add_root_certificate(root.clone()).build().unwrap();
        let url = format!("https://localhost:{}/api/v1/messages", api.address.port());
        let request = client.post(url).header("Ocp-Apim-Subscription-Key", api.key(PLAIN));
        let response = request.json(&a_body()).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (201, version));
    }
}

/// A client's certificate and key in one PEM text, signed by `authority`.
fn client_identity(authority: &rcgen::CertifiedIssuer<'_, rcgen::KeyPair>) -> reqwest::Identity {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["sender.example".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap();
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    reqwest::Identity::from_pem(pem.as_bytes()).unwrap()
}

fn authority() -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn a_certificate_of_our_authority_opens_what_needs_one_and_a_foreign_one_nothing() {
    let mut files = files();
    let (ours, foreign) = (authority(), authority());
    let authorities = files.tls.key.with_file_name("authorities.pem");
    std::fs::write(&authorities, ours.pem()).unwrap();
    files.tls.client_authorities = Some(authorities);
    let api = Api::with(Setup {
        tls: Some(server_config(&files.tls).unwrap()),
        change: |service| {
            let groups = [Group::ApiMessageWrite, Group::ApiAuthenticationClientCertificate];
            service.groups = Groups::of(&groups);
        },
        ..Setup::default()
    })
    .await;
    let root = reqwest::Certificate::from_pem(files.certificate.as_bytes()).unwrap();
    let send = async |identity: Option<reqwest::Identity>| {
        let client = client().add_root_certificate(root.clone());
        let client = match identity {
            Some(identity) => client.identity(identity),
            None => client,
        };
        let url = format!("https://localhost:{}/api/v1/messages", api.address.port());
        let request = client.build().unwrap().post(url).json(&a_body());
        let request = request.header("Ocp-Apim-Subscription-Key", api.key(PLAIN));
        request.send().await.map(|response| response.status().as_u16())
    };
    assert_eq!(send(None).await.unwrap(), 403);
    assert_eq!(send(Some(client_identity(&ours))).await.unwrap(), 201);
    assert!(send(Some(client_identity(&foreign))).await.is_err(), "no handshake");
}

#[test]
fn wrong_tls_files_are_named() {
    let files = files();
    let missing = TlsFiles { key: "/nowhere/key.pem".into(), ..files.tls.clone() };
    let error = server_config(&missing).unwrap_err();
    assert!(matches!(&error, TlsError::File(path) if path.ends_with("key.pem")), "{error}");
    let swapped = TlsFiles { certificates: files.tls.key.clone(), ..files.tls.clone() };
    assert!(matches!(server_config(&swapped).unwrap_err(), TlsError::Empty(_)));
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_ignored_and_not_refused() {
    let api = Api::start().await;
    let body = a_body().to_string();
    let request = format!(
        "POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\
         Ocp-Apim-Subscription-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
        api.key(PLAIN),
        body.len()
    );
    let answer = raw(api.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_after_the_signal_to_stop() {
    let api = Api::start().await;
    let id = api.accepted(PLAIN).await;
    let asked = tokio::spawn(api.get(PLAIN, &format!("/messages/{SANDBOX}/{id}")).send());
    api.view.waited_for().await;
    api.stop.send(()).unwrap();
    // The listener closes before the answer is given.
    while TcpStream::connect(api.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!api.served.is_finished());
    api.view.set(id, |standing| standing.status = schemas::records::Status::Rejected);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    api.served.await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_when_the_grace_is_over() {
    let mut setup = Setup::default();
    setup.limits.grace = Duration::from_millis(10);
    let api = Api::with(setup).await;
    let id = api.accepted(PLAIN).await;
    let _asked = tokio::spawn(api.get(PLAIN, &format!("/messages/{SANDBOX}/{id}")).send());
    api.view.waited_for().await;
    api.stop.send(()).unwrap();
    api.served.await.unwrap();
}
