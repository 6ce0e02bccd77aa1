use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, Start};
use runtime::world::World;
use schemas::codec::{Codec, Record};
use schemas::ids::Timestamp;
use schemas::records::{
    Activation, CitizenKeyRecord, CitizenProfile, Device, Mode, NoticeType, Preference,
};
use schemas::topics::Topic;
use sealing::{CitizenKey, Field, Keyring, SeededEntropy};

use crate::citizens::{LoadError, Onboarded, Onboarding, onboard};

const CODE: &str = "AAAAAA00A00A000A";
const TOKEN: &str = "a-token-in-clear";
const ADDRESS: &str = "nessuno@example.com";

fn person() -> String {
    format!(
        r#"{{"fiscal_code":"{CODE}","given_name":"X","segment":"push","profile":{{
        "is_inbox_enabled":true,"is_webhook_enabled":false,"email":"{ADDRESS}",
        "preferred_languages":["de_DE","it_IT"],"accepted_tos_version":3.2,"last_app_version":"2.4",
        "service_preferences_settings":{{"mode":"LEGACY","version":-1}},"version":13,
        "updated_at":"2024-10-24T02:31:27.000Z",
        "blocked_inbox_or_channels":{{"01S":["WEBHOOK","INBOX"]}}}},
        "preferences":[{{"service_id":"01S","is_inbox_enabled":false,"is_email_enabled":true,
        "is_webhook_enabled":true,"settings_version":0,"can_access_message_read_status":false}}],
        "activations":[{{"service_id":"02S","status":"PENDING","version":1,
        "updated_at":"2026-11-20T00:00:00.000Z"}}],
        "devices":[{{"installation_id":"phone-of-mine","platform":"apns","token":"{TOKEN}",
        "registered_at":"2026-01-02T00:00:00.000Z"}}]}}"#
    )
    .replace('\n', " ")
}

struct Loaded {
    keyring: Keyring,
    done: Result<Onboarded, LoadError>,
    records: Vec<Incoming>,
}

/// Loads `lines` into an empty log and reads all of it back.
async fn load(lines: &str) -> Loaded {
    let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
    let log = EmbeddedLog::in_memory(world, 3);
    let entropy = SeededEntropy::new(7);
    let keyring = Keyring::generate(&entropy, Timestamp(0));
    let codec = Codec::default();
    let with =
        Onboarding { keyring: &keyring, entropy: &entropy, codec: &codec, now: Timestamp(9) };
    let mut writer = log.writer("citizens").expect("a writer");
    let done = onboard(lines.as_bytes(), with, &mut *writer);
    let mut reader = log.reader(&Topic::DIRECTORY, &Start::Beginning).expect("a reader");
    let read = reader.poll(1_000, std::time::Duration::ZERO).expect("memory answers");
    Loaded { keyring, done, records: read.records }
}

impl Loaded {
    fn only<R: Record>(&self, topic: Topic) -> R {
        let of_topic: Vec<_> =
            self.records.iter().filter(|it| it.position.at.topic == topic).collect();
        assert_eq!(of_topic.len(), 1, "one record of {topic}");
        let value = of_topic[0].value.as_ref().expect("no tombstone");
        Codec::default().decode(value).expect("a record")
    }

    fn key(&self) -> CitizenKey {
        let record: CitizenKeyRecord = self.only(Topic::CitizenKey);
        let masters = self.keyring.masters();
        masters
            .unwrap_citizen(record.citizen, record.generation, &record.wrapped.0)
            .expect("wrapped by this keyring")
    }
}

#[tokio::test]
async fn a_person_becomes_records_of_one_generation_sealed_under_one_key() {
    let loaded = load(&person()).await;
    let profile: CitizenProfile = loaded.only(Topic::Profile);
    let preference: Preference = loaded.only(Topic::Preference);
    let device: Device = loaded.only(Topic::Device);
    let activation: Activation = loaded.only(Topic::Activation);
    let key = loaded.key();
    let citizen = loaded.keyring.pepper().pseudonym(&CODE.parse().expect("a code"));
    assert_eq!([profile.citizen, preference.citizen, activation.citizen], [citizen; 3]);
    assert_eq!(
        [profile.generation, preference.generation, device.generation],
        [key.generation(); 3]
    );
    let address = &profile.email.as_ref().expect("an address").0;
    assert_eq!(key.open_field(Field::EmailAddress, address).as_deref(), Ok(ADDRESS));
    let installation = loaded.keyring.hashes().installation(citizen, "phone-of-mine");
    assert_eq!(device.installation, installation);
    let field = Field::DeviceToken { installation: &installation };
    assert_eq!(key.open_field(field, &device.token.0).as_deref(), Ok(TOKEN));
}

#[tokio::test]
async fn absent_members_mean_what_they_mean_in_old_profiles() {
    let profile: CitizenProfile = load(&person()).await.only(Topic::Profile);
    assert!(profile.email_enabled && profile.email_validated);
    assert_eq!((profile.mode, profile.settings_version), (Mode::Legacy, -1));
    assert_eq!(profile.notice_type, NoticeType::Anonymous);
    assert_eq!(profile.languages, ["de_DE", "it_IT"]);
    assert_eq!(profile.blocked["01S"], ["WEBHOOK", "INBOX"]);
    assert_eq!((profile.version, profile.reminders), (13, false));
}

#[tokio::test]
async fn whoever_has_no_profile_is_not_on_board_and_leaves_no_trace() {
    let stranger =
        format!(r#"{{"fiscal_code":"{CODE}","segment":"not_registered","profile":null}}"#);
    let loaded = load(&stranger).await;
    let done = loaded.done.expect("loaded");
    assert_eq!((done.citizens, done.skipped, done.records), (0, 1, 0));
    assert!(loaded.records.is_empty());
}

#[tokio::test]
async fn nothing_readable_of_a_person_lies_on_the_log() {
    let loaded = load(&person()).await;
    for record in &loaded.records {
        let bytes = [&record.key[..], record.value.as_deref().unwrap_or_default()].concat();
        for canary in [CODE, TOKEN, ADDRESS, "phone-of-mine"] {
            let found = bytes.windows(canary.len()).any(|it| it == canary.as_bytes());
            assert!(!found, "{canary} stands in clear on {}", record.position.at.topic);
        }
    }
    assert_eq!(loaded.records.len(), 5);
}

#[tokio::test]
async fn the_last_positions_cover_every_record() {
    let loaded =
        load(&format!("{}\n\n{}\n", person(), person().replace(CODE, "BBBBBB00A00A000B"))).await;
    let done = loaded.done.expect("loaded");
    assert_eq!((done.citizens, done.records), (2, 10));
    for record in &loaded.records {
        assert!(done.last[&record.position.at] >= record.position.offset);
    }
}

#[tokio::test]
async fn a_line_that_is_no_person_is_named_and_not_repeated() {
    let loaded = load(&format!("{}\n{{\"fiscal_code\":\"segreto\"}}", person())).await;
    // Without a profile nobody looks at the code; with one it must be a code.
    assert_eq!(loaded.done.expect("loaded").skipped, 1);
    let loaded = load(&person().replace(CODE, "segreto")).await;
    let error = loaded.done.expect_err("refused").to_string();
    assert!(error.starts_with("line 1") && !error.contains("segreto"), "{error}");
}
