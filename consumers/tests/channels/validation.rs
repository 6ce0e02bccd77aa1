//! The link that validates an address, from the record that asks for it to the SMTP double.

use std::sync::Arc;
use std::time::Duration;

use consumers::directory::EmbeddedDirectory;
use consumers::email::{EmailConfig, ValidationSettings, ValidationStage};
use consumers::keys::Keys;
use consumers::view::Projection;
use parking_lot::RwLock;
use runtime::log::{Incoming, Position, Read, TopicPartition};
use runtime::metrics::Metrics;
use runtime::stage::{Fault, Outcome, Received, Stage};
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{Generation, MessageId, Pseudonym, Timestamp};
use schemas::records::{
    CitizenKeyRecord, CitizenProfile, MailboxValidation, Mode, NoticeType, Reason, Sealed,
    Version64,
};
use schemas::topics::Topic;
use sealing::{CitizenKey, Field, SeededEntropy, TransitKeys};

use crate::dkim::SigningKeys;
use crate::rig::{Rig, rig};

const ME: Pseudonym = Pseudonym([5; 16]);
const FIRST: Generation = Generation([6; 16]);
const ADDRESS: &str = "anna@mail.example";

/// The stage before a directory in which one citizen waits for the mail.
struct Desk {
    rig: Rig,
    view: Arc<EmbeddedDirectory>,
    stage: ValidationStage,
    signing: SigningKeys,
    asked: MailboxValidation,
    profile: CitizenProfile,
    told: u64,
}

impl Desk {
    async fn new(address: &str) -> Self {
        let rig = rig(|_| {}).await;
        let validation_url = "https://app.staffetta.example/mailbox".to_owned();
        let signing = SigningKeys::make();
        let config = EmailConfig { validation_url, ..signing.in_config(rig.email_config()) };
        let entropy = Arc::new(SeededEntropy::new(2));
        let transit = Arc::new(RwLock::new(TransitKeys::default()));
        let keys = Keys { keyring: rig.keyring.clone(), transit, entropy: entropy.clone() };
        let key = CitizenKey::draw(entropy.as_ref(), ME, FIRST);
        let wrapped = keys.keyring.masters().wrap_citizen(entropy.as_ref(), &key).unwrap();
        let email = key.seal_field(entropy.as_ref(), Field::EmailAddress, address).unwrap();
        let view = Arc::new(EmbeddedDirectory::new(rig.world.clone()));
        let metrics = Metrics::new(prometheus::Registry::new());
        let port = Arc::new(rig.email(&config));
        let max_age = Duration::from_secs(60);
        let settings = ValidationSettings { max_age, ..ValidationSettings::default() };
        let stage = ValidationStage::new(port, view.clone(), keys, metrics, settings);
        let now = rig.world.now();
        let asked = MailboxValidation {
            id: MessageId::from_parts(1_700_000_000_000, 44),
            citizen: ME,
            generation: FIRST,
            email: Sealed(email),
            asked_at: now,
            until: now.plus(Duration::from_secs(3_600)),
            tries: 0,
        };
        let profile = profile(asked.email.clone());
        let mut desk = Self { rig, view, stage, signing, asked, profile, told: 0 };
        let wrapped = Sealed(wrapped.to_vec());
        let key = CitizenKeyRecord { citizen: ME, generation: FIRST, wrapped, created_at: now };
        // A key lies under its registration, a profile under its citizen alone.
        desk.tell(Topic::CitizenKey, &format!("{ME}+{FIRST}"), &key).await;
        desk.tell(Topic::Profile, &ME.to_string(), &desk.profile.clone()).await;
        desk.view.mark_ready().await.unwrap();
        desk
    }

    async fn tell<R: Record>(&mut self, topic: Topic, key: &str, record: &R) {
        let at = TopicPartition { topic, partition: 0 };
        let record = Incoming {
            position: Position { at, offset: self.told },
            appended_at: Timestamp(0),
            key: key.as_bytes().to_vec(),
            value: Some(Codec::default().encode(record)),
            headers: Vec::new(),
        };
        self.told += 1;
        let read = Read { records: vec![record], ended: Vec::new() };
        self.view.apply(&read).await.unwrap();
    }

    async fn change(&mut self, change: impl FnOnce(&mut CitizenProfile)) {
        self.profile.updated_at = self.rig.world.now();
        change(&mut self.profile);
        let profile = self.profile.clone();
        self.tell(Topic::Profile, &ME.to_string(), &profile).await;
    }

    async fn handle(&self, asked: &MailboxValidation) -> Outcome {
        self.try_handle(asked).await.unwrap()
    }

    async fn try_handle(&self, asked: &MailboxValidation) -> Result<Outcome, Fault> {
        let at = TopicPartition { topic: Topic::Validation, partition: 0 };
        let received = Received {
            value: asked.clone(),
            headers: Headers::default(),
            position: Position { at, offset: 0 },
        };
        let mut results = self.stage.handle(&[received], &self.rig.world).await;
        results.pop().unwrap()
    }

    fn received(&self) -> Vec<String> {
        let received = self.rig.doubles.smtp.received();
        received.iter().map(|mail| mail.payload.as_str().unwrap().to_owned()).collect()
    }
}

fn profile(email: Sealed) -> CitizenProfile {
    CitizenProfile {
        citizen: ME,
        generation: FIRST,
        version: 0,
        inbox_enabled: true,
        push_enabled: true,
        email_enabled: true,
        email_validated: false,
        email: Some(email),
        mode: Mode::Auto,
        settings_version: 0,
        blocked: std::collections::BTreeMap::new(),
        notice_type: NoticeType::Anonymous,
        languages: vec!["en_GB".into()],
        reminders: false,
        accepted_tos_version: Version64(1.0),
        last_app_version: "1".into(),
        updated_at: Timestamp(0),
    }
}

/// The link's token, out of a mail's plain part.
fn token(mail: &str) -> String {
    let mail = mail.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = mail.split_once("https://app.staffetta.example/mailbox/").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_that_was_asked_for_arrives_and_claims_the_address_it_went_to() {
    let desk = Desk::new(ADDRESS).await;
    assert_eq!(desk.handle(&desk.asked).await, Outcome::Done { why: Reason::Delivered });
    let mails = desk.received();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("Content-Language: en"));
    assert_eq!(desk.signing.verify(&mails[0]), Ok(()));
    let tokens = desk.rig.keyring.tokens();
    let claim = tokens.open_mailbox(&token(&mails[0]), desk.rig.world.now()).unwrap();
    assert_eq!((claim.citizen, claim.generation), (ME, FIRST));
    assert!(tokens.is_for(&claim, ADDRESS) && !tokens.is_for(&claim, "other@mail.example"));
}

#[tokio::test]
async fn nothing_leaves_once_the_profile_waits_no_longer() {
    type Change = fn(&mut CitizenProfile);
    let changes: [(Change, Reason); 3] = [
        (|it| it.email_validated = true, Reason::Finished),
        (|it| it.email = Some(Sealed(vec![1])), Reason::Superseded),
        (|it| it.generation = Generation([9; 16]), Reason::Erased),
    ];
    for (change, why) in changes {
        let mut desk = Desk::new(ADDRESS).await;
        desk.change(change).await;
        assert_eq!(desk.handle(&desk.asked).await, Outcome::Done { why });
        assert!(desk.received().is_empty(), "{why:?}");
    }
}

#[tokio::test]
async fn a_view_that_has_not_caught_up_with_the_asking_is_waited_for() {
    let mut desk = Desk::new(ADDRESS).await;
    let asked = desk.asked.clone();
    desk.profile.email = None;
    let former = desk.profile.clone();
    desk.tell(Topic::Profile, &ME.to_string(), &former).await;
    let fault = desk.try_handle(&asked).await.unwrap_err();
    assert_eq!((fault.why, desk.received().len()), (Reason::ViewNotReady, 0));
    desk.change(|it| it.email = Some(asked.email.clone())).await;
    assert_eq!(desk.handle(&asked).await, Outcome::Done { why: Reason::Delivered });
}

#[tokio::test]
async fn a_relay_that_is_down_is_waited_for_and_burns_no_try() {
    let mut desk = Desk::new(ADDRESS).await;
    let simulators = &desk.rig.doubles;
    let smtp = simulators::SmtpReply { phase: "connect".into(), reply: None, close: false };
    let script = simulators::Script { smtp: Some(smtp), ..simulators::Script::default() };
    simulators.smtp.script(script).unwrap();
    let outcome = desk.handle(&desk.asked).await;
    let Outcome::Postpone { record, until, why, also } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((why, also.len(), record.topic), (Reason::Unsent, 0, Topic::Validation));
    assert!(until > desk.rig.world.now());
    desk.asked = Codec::default().decode(&record.value.unwrap()).unwrap();
    assert_eq!(desk.asked.tries, 0);
    assert_eq!(desk.handle(&desk.asked).await, Outcome::Done { why: Reason::Delivered });
}

#[tokio::test]
async fn a_repeat_carries_the_same_message_id() {
    let desk = Desk::new("anna@drop.example").await;
    let Outcome::Postpone { record, why, .. } = desk.handle(&desk.asked).await else {
        panic!("an unknown outcome is repeated once");
    };
    assert_eq!(why, Reason::NoAnswer);
    let again: MailboxValidation = Codec::default().decode(&record.value.unwrap()).unwrap();
    assert_eq!(desk.handle(&again).await, Outcome::Done { why: Reason::NoAnswer });
    let ids: Vec<_> = desk.rig.doubles.smtp.received().into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist_ends_with_that_reason() {
    let desk = Desk::new("anna@nobody.example").await;
    assert_eq!(desk.handle(&desk.asked).await, Outcome::Done { why: Reason::NoSuchMailbox });
}
