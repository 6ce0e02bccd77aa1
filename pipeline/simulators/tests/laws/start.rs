//! How the doubles start: files, TLS, configuration.

use std::os::unix::fs::PermissionsExt as _;

use simulators::{Config, StartError, start};

use crate::support::{connect, doubles};

#[tokio::test]
async fn secrets_are_readable_by_their_owner_only() {
    let doubles = doubles(|_| {}).await;
    let running = &doubles.running;
    for path in [&running.apns.key, &running.apns.other_key.path, &running.fcm.service_account] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        assert!(path.is_absolute());
    }
}

#[tokio::test]
async fn apns_speaks_http_2_only_and_fcm_both() {
    let doubles = doubles(|_| {}).await;
    let (apns, fcm) = (&doubles.running.apns, &doubles.running.fcm);
    assert!(connect(apns.address, &apns.ca, &[b"http/1.1"]).await.is_err());
    for (offered, chosen) in [
        (&[b"http/1.1" as &[u8]] as &[&[u8]], b"http/1.1" as &[u8]),
        (&[b"http/1.1", b"h2"], b"h2"),
    ] {
        let io = connect(fcm.address, &fcm.ca, offered).await.unwrap();
        assert_eq!(io.get_ref().1.alpn_protocol(), Some(chosen));
    }
}

#[tokio::test]
async fn every_listener_is_on_loopback_at_a_port_of_its_own() {
    let doubles = doubles(|_| {}).await;
    let running = &doubles.running;
    let mut addresses = vec![
        running.apns.address,
        running.apns.admin,
        running.fcm.address,
        running.fcm.admin,
        running.smtp.address,
        running.smtp.admin,
    ];
    assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() != 0));
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 6);
}

#[tokio::test]
async fn a_wrong_setting_is_named_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("absent");
    type Spoil = fn(&mut Config);
    let cases: [(&str, Spoil); 4] = [
        ("time_scale", |config| config.time_scale = 0.0),
        ("time_scale", |config| config.time_scale = f64::NAN),
        ("apns_streams", |config| config.apns_streams = 0),
        ("fcm_project_id", |config| config.fcm_project_id.clear()),
    ];
    for (expected, spoil) in cases {
        let mut config = Config { folder: place.clone(), ..Config::default() };
        spoil(&mut config);
        match start(config).await.err() {
            Some(StartError::Config { key, .. }) => assert_eq!(key, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert!(!place.exists());
}
