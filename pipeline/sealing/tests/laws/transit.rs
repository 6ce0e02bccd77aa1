//! The life of transit keys: announced, used, followed, destroyed.

use schemas::ids::Timestamp;
use sealing::{KeyUse, Part, SealError, TransitKeys};

use crate::{DAY, NOW, SCHEDULES, Town, id};

fn after(days: u32) -> Timestamp {
    NOW.plus(DAY * days)
}

#[test]
fn nothing_is_wrapped_before_a_key_was_read_back() {
    let Town { entropy, keyring, message, .. } = Town::new(1);
    let mut ring = TransitKeys::default();
    let due = ring.due_records(&entropy, keyring.masters(), NOW, &SCHEDULES).expect("due");
    assert_eq!(due.len(), KeyUse::ALL.len());
    for key_use in KeyUse::ALL {
        let refused = ring.wrap(&entropy, key_use, NOW, id(1), &message);
        assert_eq!(refused, Err(SealError::NoCurrentKey(key_use)));
        assert!(!ring.is_ready(key_use, NOW));
    }
    due.iter().for_each(|record| ring.apply(keyring.masters(), record).expect("ours"));
    for key_use in KeyUse::ALL {
        ring.wrap(&entropy, key_use, NOW, id(1), &message).expect("ready");
        assert!(ring.is_ready(key_use, NOW));
        assert!(!ring.is_ready(key_use, Timestamp(NOW.0 - 1)), "not before it starts");
    }
}

#[test]
fn a_key_is_published_a_day_before_it_wraps() {
    let mut town = Town::new(2);
    let key_at = |town: &Town, now| {
        let wrapped = town.transit.wrap(&town.entropy, KeyUse::Wire, now, id(1), &town.message);
        wrapped.expect("wrapped")[..8].to_vec()
    };
    let first = key_at(&town, NOW);
    assert_eq!(town.turn(NOW), 3, "each use's second key");
    assert_eq!(town.turn(NOW), 0, "and no third");
    assert_eq!(key_at(&town, NOW), first);
    assert_eq!(key_at(&town, Timestamp(after(1).0 - 1)), first);
    assert_ne!(key_at(&town, after(1)), first);
    assert_eq!(first[0], 1, "the id tells the use");
}

#[test]
fn a_key_unknown_is_ours_to_wait_for_and_a_key_destroyed_is_the_records_end() {
    let mut town = Town::new(3);
    let wire = town.transit.wrap(&town.entropy, KeyUse::Wire, NOW, id(1), &town.message);
    let wire = wire.expect("wrapped");
    let unknown = TransitKeys::default().unwrap(id(1), &wire).expect_err("nobody told it");
    assert!(matches!(unknown, SealError::UnknownKey(_)) && unknown.is_ours());

    let last_day_of_use = after(1);
    let end = last_day_of_use.plus(SCHEDULES.wire.keep);
    for day in 0..8 {
        town.turn(after(day));
        assert!(town.transit.unwrap(id(1), &wire).is_ok(), "day {day}");
    }
    town.turn(Timestamp(end.0 - 1));
    assert!(town.transit.unwrap(id(1), &wire).is_ok());
    assert!(town.turn(end) > 0);
    let destroyed = town.transit.unwrap(id(1), &wire).expect_err("its time is over");
    assert!(matches!(destroyed, SealError::DestroyedKey(_)) && !destroyed.is_ours());
}

#[test]
fn a_destroyed_key_stays_destroyed_whatever_is_read_later() {
    let mut town = Town::new(4);
    let masters = town.keyring.masters();
    let first = TransitKeys::default().due_records(&town.entropy, masters, NOW, &SCHEDULES);
    let alive = first.expect("due").remove(0);
    let mut dead = alive.clone();
    dead.wrapped.0.clear();
    for order in [[&alive, &dead, &alive], [&dead, &alive, &alive]] {
        let mut ring = TransitKeys::default();
        order.iter().for_each(|record| ring.apply(masters, record).expect("ours"));
        assert!(!ring.is_ready(KeyUse::Wire, NOW));
    }
    let mut ring = TransitKeys::default();
    ring.apply(masters, &alive).expect("ours");
    assert!(ring.is_ready(KeyUse::Wire, NOW), "the twin: alive alone is alive");
    assert_eq!(town.turn(NOW), 3);
}

#[test]
fn a_rotation_that_stood_still_destroys_nothing_that_is_needed() {
    let mut town = Town::new(5);
    let late = after(400);
    assert!(town.transit.is_ready(KeyUse::Wire, late));
    let wire = town.transit.wrap(&town.entropy, KeyUse::Wire, late, id(1), &town.message);
    let wire = wire.expect("the old key still wraps");
    assert_eq!(town.turn(late), 3, "new keys, no destruction");
    for day in 401..=407 {
        town.turn(after(day));
        assert!(town.transit.unwrap(id(1), &wire).is_ok(), "day {day}");
    }
    town.turn(after(408));
    assert!(town.transit.unwrap(id(1), &wire).is_err());
}

#[test]
fn a_dead_letter_outlives_the_wire() {
    let mut town = Town::new(6);
    let wire = town.transit.wrap(&town.entropy, KeyUse::Wire, NOW, id(1), &town.message);
    let wire = wire.expect("wrapped");
    let entropy = &town.entropy;
    let parked = town.transit.rewrap(entropy, KeyUse::DeadLetter, NOW, id(1), &wire);
    let parked = parked.expect("re-wrapped");
    let sealed = town.message.seal(entropy, Part::Content, id(1), b"words").expect("sealed");
    for day in 0..60 {
        town.turn(after(day));
    }
    assert!(town.transit.unwrap(id(1), &wire).is_err());
    let key = town.transit.unwrap(id(1), &parked).expect("a key of months");
    assert_eq!(key.open(Part::Content, id(1), &sealed).as_deref(), Ok(&b"words"[..]));
}

#[test]
fn a_record_that_names_no_key_is_of_bad_form() {
    let Town { entropy, keyring, .. } = Town::new(7);
    let masters = keyring.masters();
    let due = TransitKeys::default().due_records(&entropy, masters, NOW, &SCHEDULES);
    let record = due.expect("due").remove(0);
    for key_id in ["", "none", "ff00000000000000"] {
        let mut changed = record.clone();
        changed.key_id = key_id.into();
        let refused = TransitKeys::default().apply(masters, &changed);
        assert_eq!(refused, Err(SealError::BadForm), "{key_id}");
    }
    let stranger = Town::new(8);
    let foreign = TransitKeys::default().apply(stranger.keyring.masters(), &record);
    assert_eq!(foreign, Err(SealError::UnknownKey(masters.newest())));
}
