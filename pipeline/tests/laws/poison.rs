//! One record that nobody can read in every topic that a stage reads: found, mended, sent again.

mod maker;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Method};
use runtime::log::{Log, Outgoing};
use schemas::ids::{MessageId, Timestamp};
use schemas::records::{MessageStatus, Reason, Status};
use schemas::topics::{Channel, DelayClass, Lane, Topic};
use serde_json::{Value, json};

use crate::canary::{embedded_log, onboarded};
use crate::installation::{Doors, Installation};
use crate::planted::Planted;
use crate::search::everything;
use crate::traffic::Traffic;
use maker::{Maker, decoded};

const CODE: &str = "DLVNLS80P62V014Y";
const ANOTHER: &str = "RNCTMS80C30Y345B";
/// Changes their mind between the poisoning and the mending.
const UNWILLING: &str = "BRSPPL70C01W887Q";

/// Every topic that a stage reads.
fn topics() -> Vec<Topic> {
    let of_lane = |lane| {
        let attempts = Channel::ALL.map(|channel| Topic::Attempt(channel, lane));
        let delays = DelayClass::ALL.map(|class| Topic::Delay(class, lane));
        let first = [Topic::Accepted(lane), Topic::Permitted(lane)];
        first.into_iter().chain(attempts).chain(delays)
    };
    Lane::ALL.into_iter().flat_map(of_lane).chain([Topic::Validation]).collect()
}

/// On board, with a device of each kind and a mailbox that is known to be theirs.
fn citizen(code: &str) -> Value {
    let device = |platform, token: &str| {
        json!({"installation_id": format!("{token:0>32.32}"), "platform": platform,
            "token": token, "registered_at": "2026-05-27T06:08:49.000Z"})
    };
    json!({"fiscal_code": code, "activations": [], "preferences": [],
        "profile": {"is_inbox_enabled": true, "is_webhook_enabled": true, "version": 1,
            "email": "qualcuno@casella.test", "is_email_enabled": true,
            "is_email_validated": true, "preferred_languages": ["it_IT"],
            "service_preferences_settings": {"mode": "AUTO", "version": 1},
            "accepted_tos_version": 3.2, "last_app_version": "2.14.0.2",
            "updated_at": "2026-05-27T06:08:49.000Z",
            "push_notifications_content_type": "FULL", "reminder_status": "ENABLED"},
        "devices": [device("apns", &"a1".repeat(32)), device("fcm", "f2:APA91bexample")]})
}

/// Says no to everything.
async fn opts_out(installation: &Installation, doors: &Doors) {
    let url = format!("{}/api/v1/profile", doors.citizen);
    let ask = |method| {
        let request = Client::new().request(method, &url);
        request.bearer_auth(installation.token(UNWILLING))
    };
    let mut profile: Value = ask(Method::GET).send().await.unwrap().json().await.unwrap();
    profile["is_inbox_enabled"] = json!(false);
    assert_eq!(ask(Method::PUT).json(&profile).send().await.unwrap().status(), 200);
}

/// Somebody else registers and so asks for the mail that validates the address.
async fn asks_for_a_link(installation: &Installation, doors: &Doors) {
    let profile = json!({"is_inbox_enabled": true, "is_email_enabled": true, "version": 0,
        "email": "altri@casella.test", "accepted_tos_version": 1.0,
        "service_preferences_settings": {"mode": "AUTO"}});
    let put = Client::new().request(Method::PUT, format!("{}/api/v1/profile", doors.citizen));
    let put = put.bearer_auth(installation.token(ANOTHER)).json(&profile);
    assert_eq!(put.send().await.unwrap().status(), 200);
}

/// Where nobody can read it: no value, and in the live delay topics no way back either.
fn spoilt(record: &Outgoing) -> Outgoing {
    let mut spoilt = Outgoing { value: Some(b"rubbish".to_vec()), ..record.clone() };
    if matches!(record.topic, Topic::Delay(_, Lane::Live)) {
        spoilt.headers.return_to = Some("no-topic".to_owned());
    }
    spoilt
}

/// What is to become of each message.
struct Planting {
    whole: BTreeSet<MessageId>,
    poison: BTreeMap<MessageId, Outgoing>,
    /// Of the poison, what nobody wants any more when it is mended.
    unwanted: BTreeSet<MessageId>,
}

fn id(record: &Outgoing) -> MessageId {
    record.headers.message_id.unwrap()
}

fn plant(installation: &Installation) -> Planting {
    let log = embedded_log(&installation.data().join("log"));
    let keyring = installation.data().join("keyring.json");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp(i64::try_from(now.as_millis()).unwrap());
    let maker = |code, first| Maker::new(&keyring, &log, code, now, first);
    let (willing, unwilling) = (maker(CODE, 0), maker(UNWILLING, 1_000));
    let (mut whole, mut poison, mut unwanted) =
        <(BTreeSet<_>, BTreeMap<_, _>, BTreeSet<_>)>::default();
    let mut writer = log.writer("poison").unwrap();
    for topic in topics() {
        let [before, middle, after] = [(); 3].map(|()| willing.record(topic));
        whole.extend([id(&before), id(&after)]);
        writer.write(vec![before, spoilt(&middle), after]).unwrap();
        poison.insert(id(&middle), middle);
        if topic != Topic::Validation {
            let record = unwilling.record(topic);
            writer.write(vec![spoilt(&record)]).unwrap();
            unwanted.insert(id(&record));
            poison.insert(id(&record), record);
        }
    }
    Planting { whole, poison, unwanted }
}

/// The letters that wait, or those that were ended, as the operator sees them.
fn letters(installation: &Installation, more: &[&str]) -> Vec<Value> {
    let said = installation.command("list", &[&["redrive", "list", "--json"], more].concat());
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The operator mends each letter by a whole value for it.
fn mend_all(installation: &Installation, planting: &Planting) {
    let found = letters(installation, &[]);
    let of = |letter: &Value| letter["message_id"].as_str().unwrap().parse::<MessageId>().unwrap();
    let named: BTreeSet<_> = found.iter().map(of).collect();
    assert_eq!(named, planting.poison.keys().copied().collect());
    assert_eq!(found.len(), planting.poison.len(), "one letter each");
    for letter in &found {
        assert_eq!(letter["cause"], Reason::Undecodable.name());
        let origin = letter["origin"].as_str().unwrap();
        let whole = &planting.poison[&of(letter)];
        let value = installation.outside("value", "");
        std::fs::write(&value, whole.value.as_deref().unwrap()).unwrap();
        installation.command("resend", &["redrive", "resend", origin, "--value", &value]);
    }
}

/// Events of each message, by epoch.
fn statuses(log: &dyn Log) -> BTreeMap<MessageId, BTreeMap<i32, Vec<Status>>> {
    let mut all: BTreeMap<_, BTreeMap<_, Vec<_>>> = BTreeMap::new();
    let mut events = decoded::<MessageStatus>(log, Topic::Status);
    events.sort_by_key(|event| event.sequence);
    for event in events {
        let of_one = all.entry(event.message_id).or_default();
        of_one.entry(event.epoch).or_default().push(event.status);
    }
    all
}

fn ends(events: &[Status]) -> Vec<Status> {
    events.iter().copied().filter(|status| status.is_final()).collect()
}

/// Hazard H4, seen in ANPR (italia/anpr, issue 5110): a bad row in the middle stops the rest. And hazard H12,
/// seen in all peers: consent is checked once, early, so that a replay still sends after an opt-out.
#[tokio::test(flavor = "multi_thread")]
async fn one_poison_record_in_each_topic_is_found_mended_and_resent_and_its_neighbours_finish() {
    let mut planted = Planted::sample(0);
    planted.citizens = vec![citizen(CODE), citizen(UNWILLING)];
    let mut installation = Installation::prepare(&[]).await;
    let doors = onboarded(&mut installation, &planted).await;
    asks_for_a_link(&installation, &doors).await;
    installation.end();

    let planting = tokio::task::block_in_place(|| plant(&installation));
    let doors = installation.run().await;
    Traffic::new(&installation, &doors).quiet().await;
    opts_out(&installation, &doors).await;
    installation.end();
    tokio::task::block_in_place(|| {
        let log = embedded_log(&installation.data().join("log"));
        let statuses = statuses(&log);
        for (id, of_one) in &statuses {
            let end = if planting.whole.contains(id) { Status::Notified } else { Status::Failed };
            assert_eq!(ends(&of_one[&0]), [end], "{id}");
        }
        assert_eq!(statuses.len(), 4 * (topics().len() - 1), "a validation has no status");
        drop(log);
        mend_all(&installation, &planting);
        assert!(letters(&installation, &[]).is_empty());
        assert_eq!(letters(&installation, &["--resolved"]).len(), planting.poison.len());
    });

    let doors = installation.run().await;
    Traffic::new(&installation, &doors).quiet().await;
    let admin = installation.simulators["smtp"]["admin"].as_str().unwrap();
    let mails = reqwest::get(format!("{admin}/received")).await.unwrap().text().await.unwrap();
    let validations = mails.lines().filter(|mail| mail.contains("altri@casella.test")).count();
    assert_eq!(validations, 4, "the first one, two neighbours, the mended one");
    installation.end();
    tokio::task::block_in_place(|| {
        let log = embedded_log(&installation.data().join("log"));
        let statuses = statuses(&log);
        for id in planting.poison.keys().filter(|id| statuses.contains_key(*id)) {
            let (events, unwanted) = (&statuses[id][&1], planting.unwanted.contains(id));
            let sent =
                events.iter().any(|status| matches!(status, Status::Attempt | Status::Notified));
            assert!(ends(events).len() == 1 && sent != unwanted, "{id}: {events:?}");
        }
        let letters = everything(&log, &[Topic::DeadLetter]).len();
        assert_eq!(letters, planting.poison.len(), "none was set aside again");
    });
}
