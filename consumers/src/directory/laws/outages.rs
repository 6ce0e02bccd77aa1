//! The projector waits where nothing may be guessed, and begins anew where the view was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Log, Read, TopicPartition};

use super::rig::{FIRST, ME, citizen_key, device, profile, projector_of, service, world};
use super::{Rig, check_found};
use crate::directory::{Directory, EmbeddedDirectory};
use crate::view::{Projection, Stepped, ViewError};

pub async fn a_repeated_batch_changes_nothing(mut rig: Rig) {
    rig.tell(vec![citizen_key(FIRST), profile(FIRST, 1), device(FIRST, "phone", 5)]).await;
    let mut again = projector_of(&rig.log, Arc::new(Replaying(rig.directory.clone())));
    loop {
        match again.step().await.expect("the log holds") {
            Stepped::Applied(_) => {}
            Stepped::Idle => break,
            other @ (Stepped::Lost | Stepped::Waiting(_)) => panic!("{other:?}"),
        }
    }
    check_found(&rig, (Some(FIRST), true, false, &["phone"], false)).await;
}

pub async fn a_record_of_another_version_is_waited_at_and_not_passed_over(mut rig: Rig) {
    rig.tell(vec![citizen_key(FIRST), profile(FIRST, 1)]).await;
    let mut newer = device(FIRST, "phone", 5);
    newer.value = Some([&[0xC3, 0x01][..], &[7; 30]].concat());
    rig.write(vec![newer, device(FIRST, "tablet", 5)]);
    for _ in 0..3 {
        let stepped = rig.projector.step().await.expect("the log holds");
        let Stepped::Waiting(why) = stepped else { panic!("{stepped:?}") };
        assert!(why.contains("update this process"), "{why}");
    }
    check_found(&rig, (Some(FIRST), true, false, &[], false)).await;
}

/// A view that claims to know nothing, so that all is read again.
struct Replaying(Arc<dyn super::rig::Whole>);

#[async_trait]
impl Projection for Replaying {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        Ok(Vec::new())
    }
    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        self.0.apply(read).await
    }
    async fn restart(&self) -> Result<(), ViewError> {
        self.0.restart().await
    }
    async fn mark_ready(&self) -> Result<(), ViewError> {
        self.0.mark_ready().await
    }
}

/// An embedded directory whose server has bad days.
struct Fragile {
    inner: Mutex<Arc<EmbeddedDirectory>>,
    /// So many calls answer `Down`.
    down: AtomicU32,
    lost: AtomicU32,
}

impl Fragile {
    fn inner(&self) -> Result<Arc<EmbeddedDirectory>, ViewError> {
        let left = self.down.load(Ordering::Relaxed);
        if left > 0 {
            self.down.store(left - 1, Ordering::Relaxed);
            return Err(ViewError::Down("no route".into()));
        }
        Ok(self.inner.lock().clone())
    }
}

#[async_trait]
impl Projection for Fragile {
    async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        self.lost.store(0, Ordering::Relaxed);
        self.inner()?.open().await
    }
    async fn apply(&self, read: &Read) -> Result<(), ViewError> {
        if self.lost.load(Ordering::Relaxed) > 0 {
            return Err(ViewError::NotReady);
        }
        self.inner()?.apply(read).await
    }
    async fn restart(&self) -> Result<(), ViewError> {
        self.inner()?.restart().await
    }
    async fn mark_ready(&self) -> Result<(), ViewError> {
        self.inner()?.mark_ready().await
    }
}

pub async fn a_view_at_rest_takes_what_comes_without_being_opened_again(mut rig: Rig) {
    rig.settle().await;
    for version in 1..=9 {
        rig.write(vec![profile(FIRST, version), device(FIRST, &format!("{version}"), 5)]);
        assert_eq!(rig.projector.step().await, Ok(Stepped::Applied(2)));
        assert_eq!(rig.projector.step().await, Ok(Stepped::Idle));
    }
}

pub async fn a_view_that_stands_where_the_log_does_not_reach_is_built_anew(mut rig: Rig) {
    let mut records = vec![citizen_key(FIRST), profile(FIRST, 1)];
    records.extend((0..20).map(|n| device(FIRST, &format!("phone-{n:02}"), 5)));
    rig.tell(records).await;
    // The log was lost and begun again, shorter than it was.
    let other = EmbeddedLog::in_memory(rig.world.clone(), 3);
    let mut writer = other.writer("citizens").expect("a writer");
    writer.write(vec![profile(FIRST, 7)]).expect("memory takes all");
    let mut projector = projector_of(&other, rig.directory.clone());
    assert_eq!(projector.step().await, Ok(Stepped::Lost));
    while projector.step().await.expect("the log holds") != Stepped::Idle {}
    check_found(&rig, (Some(FIRST), false, false, &[], false)).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for_and_nothing_is_skipped() {
    let mut rig = Rig::embedded();
    rig.write(vec![citizen_key(FIRST), profile(FIRST, 1)]);
    let inner = Arc::new(EmbeddedDirectory::new(world()));
    let view = Arc::new(Fragile {
        inner: Mutex::new(inner.clone()),
        down: AtomicU32::new(1),
        lost: AtomicU32::new(0),
    });
    let mut projector = projector_of(&rig.log, view.clone());
    assert!(matches!(projector.step().await, Ok(Stepped::Waiting(_))));
    // Opened and read; the apply that follows fails and is repeated with the same records.
    projector.step().await.expect("the log holds");
    rig.write(vec![profile(FIRST, 2)]);
    view.down.store(2, Ordering::Relaxed);
    assert!(matches!(projector.step().await, Ok(Stepped::Waiting(_))));
    assert!(matches!(projector.step().await, Ok(Stepped::Waiting(_))));
    while projector.step().await.expect("the log holds") != Stepped::Idle {}
    let (found, _) = inner.read(&[(ME, service())]).await.expect("ready");
    assert_eq!(found[0].citizen.profile.as_ref().map(|it| it.version), Some(2));
}

#[tokio::test]
async fn a_lost_view_is_rebuilt_from_the_beginning_and_not_asked_meanwhile() {
    let mut rig = Rig::embedded();
    rig.write((0..30).map(|n| device(FIRST, &format!("phone-{n}"), 5)).collect());
    rig.write(vec![profile(FIRST, 1)]);
    let fresh = || Arc::new(EmbeddedDirectory::new(world()));
    let view = Arc::new(Fragile {
        inner: Mutex::new(fresh()),
        down: AtomicU32::new(0),
        lost: AtomicU32::new(0),
    });
    let mut projector = projector_of(&rig.log, view.clone());
    while projector.step().await.expect("the log holds") != Stepped::Idle {}
    let flushed = fresh();
    *view.inner.lock() = flushed.clone();
    view.lost.store(1, Ordering::Relaxed);
    assert_eq!(projector.step().await, Ok(Stepped::Lost));
    projector.step().await.expect("the log holds");
    let asks = [(ME, service())];
    assert_eq!(flushed.read(&asks).await.err(), Some(ViewError::NotReady));
    while projector.step().await.expect("the log holds") != Stepped::Idle {}
    let (found, _) = flushed.read(&asks).await.expect("ready again");
    assert_eq!(found[0].tokens.len(), 30);
}
