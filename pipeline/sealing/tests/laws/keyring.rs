//! The keyring file: who may read it, what a rotation and a crash leave.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use schemas::ids::{Pseudonym, Timestamp};
use schemas::records::{CitizenKeyRecord, Sealed};
use sealing::{
    BadKeyring, FiscalCode, Keyring, KeyringError, Part, SealError, SystemEntropy, TransitKeys,
};

use crate::{NOW, SCHEDULES, Town, id};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyring.json");
    (folder, path)
}

fn create(path: &Path) -> Keyring {
    Keyring::create(path, &SystemEntropy, NOW).expect("created")
}

fn load(path: &Path) -> Keyring {
    Keyring::load(path).expect("loaded")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect()
}

fn somebody(keyring: &Keyring) -> Pseudonym {
    let code: FiscalCode = "AAAAAA00A00A000A".parse().expect("a sample code");
    keyring.pepper().pseudonym(&code)
}

#[test]
fn a_new_keyring_is_its_owners_alone_and_reads_back_as_it_was_made() {
    let (folder, path) = folder();
    let made = create(&path);
    let mode = fs::metadata(&path).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(names(folder.path()), ["keyring.json"], "no draft is left behind");
    let read = load(&path);
    assert_eq!(somebody(&made), somebody(&read));
    assert_eq!(made.masters().newest(), read.masters().newest());
    assert_eq!(made.tokens().collapse_id(id(1)), read.tokens().collapse_id(id(1)));
    assert_eq!(made.hashes().api_key("key"), read.hashes().api_key("key"));
}

#[test]
fn two_keyrings_know_nobody_in_common() {
    let (one, two) = (folder(), folder());
    assert_ne!(somebody(&create(&one.1)), somebody(&create(&two.1)));
}

#[test]
fn a_keyring_that_others_may_read_or_write_is_refused() {
    let (_folder, path) = folder();
    create(&path);
    for mode in [0o640, 0o604, 0o660, 0o644, 0o620, 0o602, 0o601, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        let refused = Keyring::load(&path).expect_err("exposed");
        let said = refused.to_string();
        assert!(said.contains("chmod 600") && said.contains(&format!("{mode:03o}")), "{said}");
        let rotated = Keyring::rotate_master(&path, &SystemEntropy, NOW);
        assert!(matches!(rotated, Err(KeyringError::Exposed { .. })));
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        load(&path);
    }
}

#[test]
fn a_keyring_is_never_overwritten() {
    let (folder, path) = folder();
    let first = create(&path);
    let again = Keyring::create(&path, &SystemEntropy, NOW);
    assert!(matches!(again, Err(KeyringError::Exists(_))));
    let kept = Keyring::load_or_create(&path, &SystemEntropy, NOW).expect("loaded");
    assert_eq!(somebody(&first), somebody(&kept));
    assert_eq!(names(folder.path()), ["keyring.json"]);
}

#[test]
fn a_missing_keyring_is_created_only_on_demand() {
    let (_folder, path) = folder();
    assert!(matches!(Keyring::load(&path), Err(KeyringError::Absent(_))));
    let rotated = Keyring::rotate_master(&path, &SystemEntropy, NOW);
    assert!(matches!(rotated, Err(KeyringError::Absent(_))));
    let made = Keyring::load_or_create(&path, &SystemEntropy, NOW).expect("created");
    assert_eq!(somebody(&made), somebody(&load(&path)));
}

#[test]
fn a_rotated_keyring_opens_the_old_and_wraps_by_the_new() {
    let (_folder, path) = folder();
    let Town { entropy, citizen, message, .. } = Town::new(1);
    let (who, when) = (citizen.citizen(), citizen.generation());
    let old = create(&path);
    let wrapped = old.masters().wrap_citizen(&entropy, &citizen).expect("wrapped");
    let records =
        TransitKeys::default().due_records(&entropy, old.masters(), NOW, &SCHEDULES).expect("due");
    let kept = citizen.keep(&entropy, id(1), &message).expect("kept");
    let sealed = message.seal(&entropy, Part::Content, id(1), b"words").expect("sealed");

    let newest = Keyring::rotate_master(&path, &entropy, Timestamp(NOW.0 + 1)).expect("rotated");
    let new = load(&path);
    assert_eq!(new.masters().newest(), newest);
    assert_ne!(old.masters().newest(), newest);
    assert_eq!(somebody(&old), somebody(&new));
    assert_eq!(old.tokens().collapse_id(id(1)), new.tokens().collapse_id(id(1)));

    let citizen = new.masters().unwrap_citizen(who, when, &wrapped).expect("the old opens");
    let key = citizen.recall(id(1), &kept).expect("and so does what hangs on it");
    assert_eq!(key.open(Part::Content, id(1), &sealed).as_deref(), Ok(&b"words"[..]));
    records.iter().for_each(|record| {
        TransitKeys::default().apply(new.masters(), record).expect("old transit keys too");
    });

    assert!(new.masters().is_outdated(&wrapped) && !old.masters().is_outdated(&wrapped));
    let again = new.masters().wrap_citizen(&entropy, &citizen).expect("re-wrapped");
    assert!(!new.masters().is_outdated(&again));
    let behind = old.masters().unwrap_citizen(who, when, &again).err();
    assert_eq!(behind, Some(SealError::UnknownKey(newest)), "an old keyring waits for the new");
}

#[test]
fn what_was_wrapped_anew_opens_without_the_older_masters_and_the_rest_never_again() {
    let (_folder, path) = folder();
    let Town { entropy, citizen, .. } = Town::new(3);
    let old = create(&path);
    let of = |keyring: &Keyring| CitizenKeyRecord {
        citizen: citizen.citizen(),
        generation: citizen.generation(),
        wrapped: Sealed(keyring.masters().wrap_citizen(&entropy, &citizen).unwrap().to_vec()),
        created_at: NOW,
    };
    let record = of(&old);
    let due = TransitKeys::default().due_records(&entropy, old.masters(), NOW, &SCHEDULES);
    let transit = due.unwrap().remove(0);
    assert_eq!(old.masters().rewrap_citizen(&entropy, &record), Ok(None), "nothing to do");
    assert_eq!(old.masters().rewrap_transit(&entropy, &transit), Ok(None), "nothing to do");

    let newest = Keyring::rotate_master(&path, &entropy, NOW).expect("rotated");
    let both = load(&path);
    let anew = both.masters().rewrap_citizen(&entropy, &record).unwrap().expect("outdated");
    let transit_anew =
        both.masters().rewrap_transit(&entropy, &transit).unwrap().expect("outdated");
    let mut destroyed = transit.clone();
    destroyed.wrapped.0.clear();
    assert_eq!(both.masters().rewrap_transit(&entropy, &destroyed), Ok(None), "stays destroyed");

    let stale = Keyring::drop_older_masters(&path, old.masters().newest());
    assert!(matches!(stale, Err(KeyringError::Changed(_))));
    assert_eq!(Keyring::drop_older_masters(&path, newest).expect("dropped"), 1);
    let new = load(&path);
    assert_eq!((new.masters().newest(), somebody(&new)), (newest, somebody(&old)));
    let unwrap = |record: &CitizenKeyRecord| {
        let masters = new.masters();
        masters.unwrap_citizen(record.citizen, record.generation, &record.wrapped.0)
    };
    let message = &Town::new(4).message;
    let kept = citizen.keep(&entropy, id(1), message).expect("kept");
    assert!(
        unwrap(&anew).expect("opens").recall(id(1), &kept).is_ok(),
        "the key inside is the same"
    );
    assert_eq!(unwrap(&record).err(), Some(SealError::UnknownKey(old.masters().newest())));
    let mut ring = TransitKeys::default();
    assert_eq!(ring.apply(new.masters(), &transit_anew), Ok(()));
    assert!(ring.apply(new.masters(), &transit).is_err());
}

#[test]
fn a_keyring_rotated_many_times_opens_all() {
    let (folder, path) = folder();
    let Town { entropy, citizen, .. } = Town::new(2);
    let (who, when) = (citizen.citizen(), citizen.generation());
    let mut keyring = create(&path);
    let mut wrapped = Vec::new();
    for turn in 1..=10 {
        wrapped.push(keyring.masters().wrap_citizen(&entropy, &citizen).expect("wrapped"));
        Keyring::rotate_master(&path, &entropy, Timestamp(NOW.0 + turn)).expect("rotated");
        keyring = load(&path);
    }
    for bytes in &wrapped {
        assert!(keyring.masters().unwrap_citizen(who, when, bytes).is_ok());
    }
    let mode = fs::metadata(&path).expect("file").permissions().mode() & 0o777;
    assert_eq!((mode, names(folder.path()).len()), (0o600, 1));
}

#[test]
fn an_interrupted_change_is_told_and_harms_nothing() {
    let (folder, path) = folder();
    let made = create(&path);
    let draft = folder.path().join("keyring.json.new");
    fs::write(&draft, b"half a docum").expect("draft");
    let refused = Keyring::rotate_master(&path, &SystemEntropy, NOW).expect_err("busy");
    assert!(matches!(&refused, KeyringError::Busy(path) if *path == draft));
    assert!(draft.exists(), "somebody else's draft is not ours to remove");
    assert_eq!(somebody(&load(&path)), somebody(&made));
    fs::remove_file(&draft).expect("as the error says");
    Keyring::rotate_master(&path, &SystemEntropy, NOW).expect("rotated");
}

#[test]
fn a_keyring_that_is_none_says_where_and_repeats_nothing() {
    let (_folder, path) = folder();
    create(&path);
    let whole = fs::read_to_string(&path).expect("text");
    let value: serde_json::Value = serde_json::from_str(&whole).expect("json");
    let secret = value["pepper"].as_str().expect("text");
    let id = value["masters"][0]["id"].as_str().expect("text");
    let with = |from: &str, to: &str| whole.replacen(from, to, 1);
    let master = serde_json::to_string(&value["masters"][0]).expect("json");
    for broken in [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        with(secret, &secret[..20]),
        with(secret, &secret.repeat(2)),
        with(&format!("\"{secret}\""), "17"),
        with("\"pepper\"", &format!("\"{secret}\"")),
        with("\"version\": 1", &format!("\"version\": \"{secret}\"")),
        with(id, secret),
    ] {
        fs::write(&path, &broken).expect("written");
        let error = Keyring::load(&path).expect_err("broken");
        let said = format!("{error} {error:?}");
        assert!(
            matches!(error, KeyringError::Malformed { source: BadKeyring::Syntax { .. }, .. }),
            "{said}"
        );
        assert!(!said.contains(&secret[..16]), "{said}");
    }
    let keys: Vec<_> = whole.match_indices("\"masters\"").collect();
    let none = format!("{}\"masters\": []}}", &whole[..keys[0].0]);
    assert_eq!(Keyring::from_json(none.as_bytes()).err(), Some(BadKeyring::NoMaster));
    let twice = format!("{}\"masters\": [{master}, {master}]}}", &whole[..keys[0].0]);
    let repeated = Keyring::from_json(twice.as_bytes()).err();
    assert_eq!(repeated, Some(BadKeyring::RepeatedMaster(id.parse().expect("id"))));
    let later = with("\"version\": 1", "\"version\": 2");
    assert_eq!(Keyring::from_json(later.as_bytes()).err(), Some(BadKeyring::Version(2)));
}

#[test]
fn racing_creators_end_with_one_keyring() {
    let (folder, path) = folder();
    let make = || Keyring::load_or_create(&path, &SystemEntropy, NOW);
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().expect("joined")).collect::<Vec<_>>()
    });
    let truth = somebody(&load(&path));
    for one in made {
        match one {
            Ok(keyring) => assert_eq!(somebody(&keyring), truth),
            Err(error) => assert!(matches!(error, KeyringError::Busy(_)), "{error}"),
        }
    }
    assert_eq!(names(folder.path()), ["keyring.json"]);
}
