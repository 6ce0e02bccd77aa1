//! Keys after a rotation, and after an end that raced it.

use schemas::ids::{Generation, Pseudonym};
use schemas::records::{CitizenErased, CitizenKeyRecord, Sealed, TransitKeyRecord};
use sealing::{CitizenKey, KeyId};

use super::super::rekeying::{Outdated, Rekeyed, Rekeying};
use super::*;

const ME: Pseudonym = Pseudonym([1; 16]);
const FIRST: Generation = Generation([1; 16]);
const SECOND: Generation = Generation([2; 16]);

/// A house whose keyring lies in a file, so that it can be rotated.
fn with_a_file() -> (House, std::path::PathBuf) {
    let mut house = House::new();
    let file = house.folder.path().join("keyring.json");
    let keyring = Keyring::create(&file, &SystemEntropy, START).expect("made");
    house.house.keys.keyring = Arc::new(keyring);
    (house, file)
}

fn rotate(house: &mut House, file: &std::path::Path) -> KeyId {
    let id = Keyring::rotate_master(file, &SystemEntropy, START).expect("rotated");
    house.house.keys.keyring = Arc::new(Keyring::load(file).expect("loaded"));
    id
}

fn key(house: &House, citizen: Pseudonym, generation: Generation) -> (CitizenKeyRecord, Outgoing) {
    let key = CitizenKey::draw(&SystemEntropy, citizen, generation);
    let masters = house.house.keys.keyring.masters();
    let wrapped = masters.wrap_citizen(&SystemEntropy, &key).expect("wrapped").to_vec();
    let key = CitizenKeyRecord { citizen, generation, wrapped: Sealed(wrapped), created_at: START };
    let name = format!("{citizen}+{generation}");
    let record = record(Topic::CitizenKey, name, citizen.to_string(), &key);
    (key, record)
}

fn erased(citizen: Pseudonym, generation: Generation) -> Outgoing {
    let erased = CitizenErased { citizen, generation, at: START };
    let name = format!("{citizen}+{generation}");
    record(Topic::Erased, name, citizen.to_string(), &erased)
}

fn transit(house: &House) -> Vec<TransitKeyRecord> {
    let keys = &house.house.keys;
    let schedules = super::super::schedules();
    let none = TransitKeys::default();
    none.due_records(&SystemEntropy, keys.keyring.masters(), house.house.world.now(), &schedules)
        .expect("made")
}

fn publish(house: &House, keys: &[TransitKeyRecord]) {
    let of = |key: &TransitKeyRecord| {
        record(Topic::TransitKey, key.key_id.clone(), key.key_id.clone(), key)
    };
    house.write(keys.iter().map(of).collect());
}

fn rekeying(house: &House) -> Rekeying<'_> {
    let it = &house.house;
    let (keyring, entropy) = (&*it.keys.keyring, it.keys.entropy.as_ref());
    Rekeying { log: it.log.as_ref(), keyring, entropy, world: &it.world, stop: &it.stop }
}

fn run(house: &House) -> Rekeyed {
    rekeying(house).run(&mut |_| ()).expect("the log holds")
}

fn citizen_keys(house: &House) -> Vec<CitizenKeyRecord> {
    let values = house.read(Topic::CitizenKey).into_iter().filter_map(|record| record.value);
    values.map(|it| Codec::default().decode(&it).expect("a key")).collect()
}

#[test]
fn a_key_that_cannot_be_read_here_keeps_the_older_masters() {
    let (mut house, file) = with_a_file();
    let (_, mut record) = key(&house, ME, FIRST);
    // Under an id that this process does not pin.
    record.value = Some([&[0, 0, 0, 0, 7][..], &[1; 40]].concat());
    house.write(vec![record]);
    rotate(&mut house, &file);
    assert_eq!(run(&house).unopened, 1);
    assert_eq!(rekeying(&house).outdated().expect("read").unread, 1);
}

#[test]
fn after_a_rotation_every_key_opens_by_the_newest_master_alone() {
    let (mut house, file) = with_a_file();
    let people: Vec<_> = (0..1_200_u16)
        .map(|n| {
            let mut citizen = ME;
            citizen.0[..2].copy_from_slice(&n.to_be_bytes());
            key(&house, citizen, FIRST).1
        })
        .collect();
    house.write(people);
    publish(&house, &transit(&house));
    assert_eq!(run(&house), Rekeyed::default(), "nothing to do before");
    let newest = rotate(&mut house, &file);
    let before = rekeying(&house).outdated().expect("read");
    assert_eq!(before, Outdated { citizens: 1_200, transit: 3, unread: 0 });
    let mut last = None;
    let done = rekeying(&house).run(&mut |at| last = Some(at)).expect("the log holds");
    assert_eq!(done, Rekeyed { citizens: 1_200, transit: 3, ..Rekeyed::default() });
    assert!(last.is_some_and(|at| at.partition == at.partitions && at.written == 1_203));
    assert_eq!(rekeying(&house).outdated().expect("read"), Outdated::default());
    assert_eq!(run(&house), Rekeyed::default(), "and nothing after");

    assert_eq!(Keyring::drop_older_masters(&file, newest).expect("dropped"), 1);
    let alone = Keyring::load(&file).expect("loaded");
    let keys = citizen_keys(&house);
    assert_eq!(keys.len(), 1_200);
    for it in keys {
        let opened = alone.masters().unwrap_citizen(it.citizen, it.generation, &it.wrapped.0);
        assert!(opened.is_ok());
    }
    let mut ring = TransitKeys::default();
    for record in house.read(Topic::TransitKey) {
        let key = Codec::default().decode(&record.value.expect("a key")).expect("a key");
        ring.apply(alone.masters(), &key).expect("opens");
    }
}

#[test]
fn a_key_that_came_back_after_its_end_is_ended_again_and_a_later_ones_stays() {
    let (mut house, file) = with_a_file();
    let (_, first) = key(&house, ME, FIRST);
    let end = Outgoing { value: None, ..first.clone() };
    house.write(vec![first.clone()]);
    house.write(vec![end, erased(ME, FIRST)]);
    let (second, record) = key(&house, ME, SECOND);
    house.write(vec![record]);
    // A rewrap that had read the first key before its end writes it after.
    house.write(vec![first]);
    assert_eq!(citizen_keys(&house).len(), 2);
    assert_eq!(run(&house), Rekeyed { buried: 1, ..Rekeyed::default() });
    assert_eq!(citizen_keys(&house), [second]);
    // Nor does a rotation bring it back.
    rotate(&mut house, &file);
    assert_eq!(run(&house), Rekeyed { citizens: 1, ..Rekeyed::default() });
    let [left] = &citizen_keys(&house)[..] else { panic!("one key") };
    assert_eq!((left.citizen, left.generation), (ME, SECOND));
}

#[test]
fn a_transit_key_in_its_last_day_is_let_alone_and_a_destroyed_one_stays_destroyed() {
    let (mut house, file) = with_a_file();
    let mut keys = transit(&house);
    keys[1].wrapped.0.clear();
    publish(&house, &keys);
    rotate(&mut house, &file);
    let end = keys[0].destroy_after;
    house.clock.advance(end.since(START).saturating_sub(DAY));
    assert_eq!(run(&house).transit, 1, "the letters' key alone");
    assert_eq!(rekeying(&house).outdated().expect("read").transit, 1, "the wire's runs out");
}

#[test]
fn a_key_of_another_keyring_is_counted_and_left_as_it_is() {
    let (house, _) = with_a_file();
    let (stranger, record) = key(&with_a_file().0, ME, FIRST);
    house.write(vec![record]);
    assert_eq!(run(&house), Rekeyed { unopened: 1, ..Rekeyed::default() });
    assert_eq!(citizen_keys(&house), [stranger]);
}
