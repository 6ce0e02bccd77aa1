//! What only a server can do to a view: lose it, restart with it, hand out an older copy, vanish.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{
    FIRST, ME, citizen_key, device, message, preference, profile, projector_of, service, stored,
    world,
};
use super::{Rig, check_found};
use crate::directory::{Directory, RedisDirectory};
use crate::view::test_redis::{Door, Own, Tls, name, shared};
use crate::view::{Projection as _, RedisServer, ServerFault, Stepped, ViewError};

impl Rig {
    pub fn redis() -> Self {
        let world = world();
        let server = Arc::new(RedisServer::new(&shared(), None).expect("an address"));
        let directory = RedisDirectory::new(server, &name(), world.clone());
        Self::over(world, Arc::new(directory))
    }

    /// On a server of its own, and a second process's eyes on the same view.
    fn on(own: &Own) -> (Self, RedisDirectory) {
        Self::at(&own.url())
    }

    /// The same at an address. A server that was away is asked again at once.
    fn at(url: &str) -> (Self, RedisDirectory) {
        let world = world();
        let open = || {
            let server = RedisServer::new(url, None).expect("an address");
            let server = Arc::new(server.remembering(Duration::ZERO));
            RedisDirectory::new(server, "d", world.clone())
        };
        (Self::over(world.clone(), Arc::new(open())), open())
    }

    async fn tell_all(&mut self) {
        let mut records =
            vec![citizen_key(FIRST), profile(FIRST, 1), preference(FIRST, &service())];
        records.extend((0..20).map(|n| device(FIRST, &format!("phone-{n:02}"), 5)));
        records.push(stored(FIRST, message(1)));
        self.tell(records).await;
    }
}

async fn tokens(directory: &dyn Directory) -> Result<usize, ViewError> {
    let (found, _) = directory.read(&[(ME, service())]).await?;
    Ok(found[0].tokens.len())
}

#[tokio::test]
async fn another_process_reads_the_same_view() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady));
    rig.tell_all().await;
    assert_eq!(tokens(&other).await, Ok(20));
}

#[tokio::test]
async fn a_flushed_view_is_not_asked_until_it_is_rebuilt() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    rig.tell_all().await;
    own.command("FLUSHALL", &[]).await;
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady));
    assert_eq!(rig.projector.step().await, Ok(Stepped::Lost));
    rig.projector.step().await.expect("the log holds");
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady), "it has only begun");
    rig.settle().await;
    assert_eq!(tokens(&other).await, Ok(20));
}

#[tokio::test]
async fn a_server_that_is_gone_is_waited_for_and_an_empty_one_is_refilled() {
    let mut own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    rig.tell_all().await;
    own.stop().await;
    assert!(matches!(tokens(&other).await, Err(ViewError::Down(_))));
    rig.write(vec![profile(FIRST, 2)]);
    for _ in 0..3 {
        assert!(matches!(rig.projector.step().await, Ok(Stepped::Waiting(_))));
    }
    own.again().await;
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady));
    rig.settle().await;
    assert_eq!(tokens(&other).await, Ok(20));
    let found = rig.find(&service()).await;
    assert_eq!(found.citizen.profile.map(|it| it.version), Some(2));
}

#[tokio::test]
async fn a_server_restarted_with_its_data_catches_up_from_where_it_stood() {
    let mut own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    rig.tell_all().await;
    own.command("SAVE", &[]).await;
    rig.tell(vec![profile(FIRST, 2)]).await;
    own.stop().await;
    own.again().await;
    // The old dump says version 1; nobody may be told so.
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady));
    let known = other.open().await.expect("up");
    assert!(!known.is_empty(), "it goes on from its positions");
    // The projector learns of it by its broken connection, or by a new one that its sweep has made.
    let learnt = rig.projector.step().await;
    assert!(matches!(learnt, Ok(Stepped::Waiting(_) | Stepped::Lost)), "{learnt:?}");
    rig.settle().await;
    let (found, _) = other.read(&[(ME, service())]).await.expect("ready");
    assert_eq!(found[0].citizen.profile.as_ref().map(|it| it.version), Some(2));
}

#[tokio::test]
async fn an_older_copy_of_the_data_is_noticed_by_its_positions() {
    let own = Own::start(&[]).await;
    let (mut rig, _) = Rig::on(&own);
    rig.tell_all().await;
    own.set_back("d").await;
    rig.write(vec![profile(FIRST, 2)]);
    assert_eq!(rig.projector.step().await, Ok(Stepped::Lost));
    rig.settle().await;
    check_found(&rig, (Some(FIRST), true, true, &PHONES, false)).await;
}

const PHONES: [&str; 20] = [
    "phone-00", "phone-01", "phone-02", "phone-03", "phone-04", "phone-05", "phone-06", "phone-07",
    "phone-08", "phone-09", "phone-10", "phone-11", "phone-12", "phone-13", "phone-14", "phone-15",
    "phone-16", "phone-17", "phone-18", "phone-19",
];

#[tokio::test]
async fn two_projectors_at_once_make_the_same_view() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    let other = Arc::new(other);
    let mut second = projector_of(&rig.log, other.clone());
    rig.write((0..40).map(|n| device(FIRST, &format!("old-{n}"), 5)).collect());
    rig.write(vec![citizen_key(FIRST), profile(FIRST, 1)]);
    for _ in 0..40 {
        let (one, two) = tokio::join!(rig.projector.step(), second.step());
        assert!(one.is_ok() && two.is_ok());
    }
    rig.write(vec![profile(FIRST, 2)]);
    assert_eq!(second.step().await, Ok(Stepped::Applied(1)));
    assert_eq!(rig.projector.step().await, Ok(Stepped::Applied(1)));
    let found = rig.find(&service()).await;
    assert_eq!(found.citizen.profile.map(|it| it.version), Some(2));
    assert_eq!(found.tokens.len(), 40);
}

/// Data keys of all epochs.
async fn data(own: &Own) -> Vec<String> {
    let mut keys = own.keys().await;
    keys.retain(|key| !key.ends_with(":view"));
    keys
}

/// A view that is being built anew for the second time, so that two former epochs are to be swept.
async fn built_anew_twice(rig: &mut Rig) {
    rig.tell_all().await;
    for _ in 0..2 {
        rig.directory.restart().await.expect("up");
        while rig.projector.step().await.expect("the log holds") == Stepped::Lost {}
    }
}

#[tokio::test]
async fn a_view_built_anew_leaves_nothing_of_the_former_ones_and_no_group_walks_alone() {
    let own = Own::start(&[]).await;
    let (mut rig, _) = Rig::on(&own);
    rig.tell_all().await;
    let before = data(&own).await;
    assert!(!before.is_empty());
    built_anew_twice(&mut rig).await;
    rig.settle().await;
    let mut after = data(&own).await;
    for _ in 0..1_000 {
        if after.len() == before.len() {
            break;
        }
        after = data(&own).await;
    }
    assert_eq!(after.len(), before.len(), "{after:?}");
    let kept = after.iter().filter(|it| before.contains(it));
    assert_eq!(kept.count(), 0, "data keys belong to one epoch");
    // A walk that began between the two rebuilds is followed by another one, not by one for each group.
    let walks = own.calls("scan").await;
    assert!((1..=3).contains(&walks), "{walks} walks over all keys");
}

#[tokio::test]
async fn a_view_is_ready_and_follows_although_nothing_of_former_ones_can_be_swept() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    own.command("ACL", &["SETUSER", "default", "-scan"]).await;
    built_anew_twice(&mut rig).await;
    rig.settle().await;
    assert_eq!(tokens(&other).await, Ok(20));
    rig.tell(vec![profile(FIRST, 2)]).await;
    let found = rig.find(&service()).await;
    assert_eq!(found.citizen.profile.map(|it| it.version), Some(2));
}

#[tokio::test]
async fn a_view_that_was_out_of_reach_for_half_a_day_is_built_anew() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = Rig::on(&own);
    rig.tell_all().await;
    let before = data(&own).await;
    let at = |hours: i64| (rig.world.now().0 - hours * 3_600_000).to_string();
    let (young, old) = (at(11), at(13));
    own.set_all("d", "at", &young).await;
    assert_eq!(rig.projector.step().await, Ok(Stepped::Idle));
    own.set_all("d", "at", &old).await;
    assert_eq!(rig.projector.step().await, Ok(Stepped::Lost));
    rig.projector.step().await.expect("the log holds");
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady), "it has only begun");
    rig.settle().await;
    assert_eq!(tokens(&other).await, Ok(20));
    assert!(data(&own).await.iter().any(|key| !before.contains(key)), "under a new epoch");
}

/// What was `own` is demoted, and a copy of what its successor holds by now.
async fn demote(own: &Own) {
    own.set_all("d", "server", "successor").await;
    own.command("REPLICAOF", &["127.0.0.1", "1"]).await;
}

#[tokio::test]
async fn nobody_stays_with_a_demoted_server_that_leaves_its_connections_open() {
    let (first, second) = (Own::start(&[]).await, Own::start(&[]).await);
    let door = Door::open().await;
    door.lead_to(&first);
    let (mut rig, other) = Rig::at(&door.url);
    rig.tell_all().await;
    assert_eq!(tokens(&other).await, Ok(20));
    door.lead_to(&second);
    demote(&first).await;
    rig.write(vec![profile(FIRST, 2)]);
    let mut last = Stepped::Lost;
    for _ in 0..100 {
        last = rig.projector.step().await.expect("the log holds");
        if last == Stepped::Idle {
            break;
        }
    }
    assert_eq!(last, Stepped::Idle, "the projector writes to the successor");
    assert_eq!(tokens(&other).await, Err(ViewError::NotReady), "it asked the demoted one");
    assert_eq!(tokens(&other).await, Ok(20));
}

#[tokio::test]
async fn a_server_that_forgets_by_itself_is_refused_with_a_word_on_what_to_set() {
    let own = Own::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    let server = RedisServer::new(&own.url(), None).expect("an address");
    assert_eq!(server.check().await, Err(ServerFault::Evicts("allkeys-lru".into())));
    own.command("CONFIG", &["SET", "maxmemory-policy", "noeviction"]).await;
    assert_eq!(server.check().await, Ok(()));
    assert_eq!(RedisServer::new("nonsense", None).map(|_| ()).err(), Some(ServerFault::Address));
}

#[tokio::test]
async fn over_tls_only_a_server_that_a_trusted_authority_vouches_for_is_spoken_to() {
    let own = Own::start(&[]).await;
    let (tls, other) = (Tls::before(&own).await, Tls::before(&own).await);
    let open = |authority: &str| RedisServer::new(&tls.url, Some(authority.as_bytes()));
    assert_eq!(open(&tls.authority).expect("an authority").check().await, Ok(()));
    let refused = open(&other.authority).expect("an authority").check().await;
    assert!(matches!(refused, Err(ServerFault::Down(_))), "{refused:?}");
    assert_eq!(open("no PEM").map(|_| ()).err(), Some(ServerFault::Authorities));
    let unchecked = RedisServer::new(&format!("{}/#insecure", tls.url), None);
    assert_eq!(unchecked.map(|_| ()).err(), Some(ServerFault::Address));
}
