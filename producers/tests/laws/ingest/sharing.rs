//! Quotas shared between instances in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use policy::admit::group::Groups;
use policy::admit::rate::{Demand, Limits, Rate};
use producers::ingest::ports::Demands;
use producers::ingest::{AccountDemand, Asked, Limiter, share_quotas};
use runtime::world::{Sources, Task, World};
use schemas::ids::Timestamp;
use tokio::sync::oneshot;

/// A clock that jumps to whatever is waited for.
struct Jumping(AtomicI64);

impl Sources for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn fill(&self, _: &mut [u8]) {}
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
    fn sleep_until(&self, until: Timestamp) -> Task {
        self.0.fetch_max(until.0, Ordering::SeqCst);
        Box::pin(tokio::task::yield_now())
    }
}

/// Two busier instances beside ours; silent once, then it agrees, then it ends the run.
struct Others {
    seen: Mutex<Vec<(i64, Vec<Asked>)>>,
    end: Mutex<Option<oneshot::Sender<()>>>,
}

#[async_trait]
impl Demands for Others {
    async fn exchange(&self, period: i64, own: &[Asked]) -> Option<Vec<AccountDemand>> {
        let mut seen = self.seen.lock();
        seen.push((period, own.to_vec()));
        if seen.len() == 3 {
            self.end.lock().take().unwrap().send(()).unwrap();
        }
        if seen.len() == 1 {
            return None;
        }
        let demand = Demand { own: 0, all: 1_000_000, instances: 3 };
        Some(vec![AccountDemand { account_id: "a".into(), demand }])
    }
}

#[tokio::test]
async fn shares_are_settled_period_after_period_and_silence_leaves_them_alone() {
    let limiter = Limiter::new(Limits::default());
    let (end, ended) = oneshot::channel();
    let others = Others { seen: Mutex::default(), end: Mutex::new(Some(end)) };
    let clock = Arc::new(Jumping(AtomicI64::new(1_000_500)));
    let world = World::new(clock, schemas::codec::Codec::default(), 1.0);
    let take = || limiter.take("a", Groups::default(), Timestamp(1_000_500));
    assert_eq!(take(), Rate::Taken { remaining: 149 });
    share_quotas(&limiter, &others, &world, async {
        ended.await.unwrap();
    })
    .await;
    let seen = others.seen.lock();
    let periods: Vec<i64> = seen.iter().map(|(period, _)| *period).collect();
    assert_eq!(periods, [1_000, 1_001, 1_002]);
    assert_eq!(seen[0].1, [Asked { account_id: "a".into(), calls: 1 }]);
    assert_eq!(seen[1].1, [Asked { account_id: "a".into(), calls: 0 }]);
    assert_eq!(take(), Rate::Taken { remaining: 25 - 2 });
}
