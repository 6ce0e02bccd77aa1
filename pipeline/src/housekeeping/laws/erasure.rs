//! The law of erasure: after it and the stated bound, every file and the keyring together open nothing
//! of the erased person, whatever raced it; the neighbour's message opens as ever.

use reqwest::Method;
use schemas::codec::Codec;
use schemas::records::{CitizenKeyRecord, DeadLetter, MessagePermitted, Reason};
use schemas::topics::{Lane, Topic};
use serde_json::Value;

use super::super::{erasure_bound, pace_of, schedules};
use super::attack::Knowledge;
use super::town::{Town, until};
use super::*;

const LEAVER: &str = "AAAAAA00A00A000A";
const NEIGHBOUR: &str = "BBBBBB00A00A000B";

/// What the law looks for: words of which each stands in one sealed text only.
const LEFT: [&str; 3] = ["SUBJECT-LEFT", "left@example.com", "token-of-the-left"];
const STAYS: [&str; 3] = ["SUBJECT-STAYS", "stays@example.com", "token-of-the-staying"];
const BACK: [&str; 3] = ["SUBJECT-BACK", "back@example.com", "token-of-the-returned"];

/// Somebody who remembers everything and tries.
struct Attacker(Knowledge);

impl Attacker {
    /// Which of `words` can be had now.
    fn opens<'a>(&mut self, town: &Town, words: &[&'a str]) -> Vec<&'a str> {
        let site = &town.plant.site;
        self.0.learn(site.log.as_ref(), &site.keys.keyring);
        let data = town.folder.path().join("data");
        let loot = self.0.loot(&data, site.log.as_ref(), &site.keys.keyring);
        words.iter().filter(|word| loot.iter().any(|text| text.contains(**word))).copied().collect()
    }
}

/// No transit key is due to be published or destroyed any more.
async fn rotated(town: &Town) {
    let keys = &town.plant.site.keys;
    until("transit keys are as they should be", async || {
        let transit = keys.transit.read();
        let masters = keys.keyring.masters();
        let due = transit.due_records(&SystemEntropy, masters, town.now(), &schedules());
        due.expect("keys can be made").is_empty()
    })
    .await;
}

/// What was removed before `moment` is off the disk.
async fn compacted(town: &Town, moment: Timestamp) {
    let log = town.plant.site.embedded.as_ref().expect("an embedded log");
    until("the log is compacted", async || {
        log.compacted_at().expect("it answers").is_some_and(|at| at >= moment)
    })
    .await;
}

fn letters(town: &Town) -> Vec<String> {
    let values = town.read(Topic::DeadLetter).into_iter().filter_map(|record| record.value);
    values.map(|it| Codec::default().decode::<DeadLetter>(&it).expect("a letter").cause).collect()
}

/// A rewrap that had read the key before its end writes it after; a redrive sends what vault had taken.
fn race(town: &Town, key: &Incoming, permitted: &Incoming) {
    let citizen = town.pseudonym(LEAVER);
    town.repeat(key, citizen);
    town.repeat(permitted, citizen);
}

/// Hazard H25, which nobody tests: a replay brings an erased person back.
#[tokio::test(flavor = "multi_thread")]
async fn after_an_erasure_and_its_bound_all_files_and_the_keyring_open_nothing_of_the_erased() {
    let town = Town::start().await;
    let mut attacker = Attacker(Knowledge::default());
    let mine =
        |record: &&Incoming| record.key.starts_with(town.pseudonym(LEAVER).to_string().as_bytes());
    // The second transit key is on its way before anything else happens, as on any day.
    town.travel_to(town.now().plus(Duration::from_secs(61)));
    rotated(&town).await;
    town.register(LEAVER, LEFT[1], LEFT[2]).await;
    town.register(NEIGHBOUR, STAYS[1], STAYS[2]).await;
    town.send(LEAVER, LEFT[0]).await;
    town.send(NEIGHBOUR, STAYS[0]).await;
    assert_eq!(attacker.opens(&town, &[LEFT, STAYS].concat()), [LEFT, STAYS].concat());

    let keys = town.read(Topic::CitizenKey);
    let key = keys.iter().find(mine).expect("a key").clone();
    let permitted = town.read(Topic::Permitted(Lane::Live));
    let permitted = permitted.iter().find(mine).expect("a message").clone();
    let accepted = town.read(Topic::Accepted(Lane::Live));
    let accepted = accepted.iter().find(mine).expect("a message").clone();
    town.as_citizen(LEAVER, Method::DELETE, "/profile", Value::Null, 204).await;
    let erased_at = town.now();
    race(&town, &key, &permitted);
    town.register(LEAVER, BACK[1], BACK[2]).await;
    assert!(town.inbox(LEAVER).await.is_empty(), "whoever comes back begins anew");
    let back = [town.send(LEAVER, BACK[0]).await];
    assert_eq!(town.inbox(LEAVER).await, back, "the redrive restored nothing");
    assert_eq!(generations(&town, &[key.clone(), permitted.clone()]), 2, "another registration");
    // The twin: without the bound the law would not hold, and this attacker would know.
    assert_eq!(attacker.opens(&town, &LEFT), LEFT);

    // The citizen key goes first; what is in flight still opens by its transit key.
    let pace = pace_of(&town.plant.site.settings);
    town.travel_to(erased_at.plus(pace.compact + Duration::from_secs(60)));
    compacted(&town, erased_at.plus(pace.compact)).await;
    assert_eq!(attacker.opens(&town, &LEFT), LEFT[..1]);

    // And it does so for as long as the bound says, all but a day.
    town.travel_to(erased_at.plus(15 * DAY));
    rotated(&town).await;
    assert_eq!(attacker.opens(&town, &LEFT), LEFT[..1]);

    let bound = erasure_bound(&schedules(), pace.compact);
    let last = erased_at.plus(bound - pace.compact - Duration::from_secs(60));
    town.travel_to(last);
    rotated(&town).await;
    let destroyed_at = town.now();
    town.travel_to(erased_at.plus(bound));
    compacted(&town, destroyed_at).await;
    assert_eq!(attacker.opens(&town, &LEFT), [] as [&str; 0]);
    assert_eq!(attacker.opens(&town, &[STAYS, BACK].concat()), [STAYS, BACK].concat());

    // A redrive that comes so late finds its key destroyed, and restores nothing either.
    let before = letters(&town).len();
    town.repeat(&accepted, town.pseudonym(LEAVER));
    until("it is set aside", async || letters(&town).len() > before).await;
    assert_eq!(letters(&town).last().map(String::as_str), Some(Reason::KeyMissing.name()));
    assert_eq!(attacker.opens(&town, &LEFT), [] as [&str; 0]);
    assert_eq!(town.inbox(LEAVER).await, back);
    town.plant.shutdown().await;
}

/// How many registrations of the leaver's the log knows, these records' included.
fn generations(town: &Town, former: &[Incoming]) -> usize {
    let mut known = std::collections::BTreeSet::new();
    for record in former.iter().chain(&town.read(Topic::CitizenKey)) {
        let Some(value) = &record.value else { continue };
        if let Ok(key) = Codec::default().decode::<CitizenKeyRecord>(value) {
            known.insert((key.citizen, key.generation));
        } else if let Ok(it) = Codec::default().decode::<MessagePermitted>(value) {
            known.insert((it.accepted.citizen, it.generation));
        }
    }
    let leaver = town.pseudonym(LEAVER);
    known.into_iter().filter(|(citizen, _)| *citizen == leaver).count()
}
