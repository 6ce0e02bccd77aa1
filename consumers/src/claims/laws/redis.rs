//! What only a server can do to a view: share it, lose it.

use std::sync::Arc;

use policy::claim::Claimed;

use super::Rig;
use super::rig::{KEPT, accepted, claim, message, sighting, world};
use crate::claims::{ClaimView, RedisClaims};
use crate::view::test_redis::Own;
use crate::view::{RedisServer, ViewError};

/// On a server of its own, and a second process's eyes on the same view.
fn on(own: &Own) -> (Rig, RedisClaims) {
    let world = world();
    let open = || {
        let server = Arc::new(RedisServer::new(&own.url(), None).expect("an address"));
        RedisClaims::new(server, "l", world.clone(), KEPT)
    };
    (Rig::over(world.clone(), Arc::new(open())), open())
}

#[tokio::test]
async fn two_processes_claim_from_one_view() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = on(&own);
    assert_eq!(other.claim(&claim(1, 1), message(1)).await, Err(ViewError::NotReady));
    rig.settle().await;
    assert_eq!(other.claim(&claim(1, 1), message(1)).await, Ok(Claimed::New));
    let same = Claimed::Same { id: message(1), is_in_log: false };
    assert_eq!(rig.claims.claim(&claim(1, 1), message(2)).await, Ok(same));
}

#[tokio::test]
async fn a_flushed_view_takes_no_claim_until_it_is_rebuilt() {
    let own = Own::start(&[]).await;
    let (mut rig, other) = on(&own);
    rig.tell(vec![accepted(1, Some(claim(1, 1)))]).await;
    own.command("FLUSHALL", &[]).await;
    for claims in [&other as &dyn ClaimView, rig.claims.as_ref()] {
        assert_eq!(claims.claim(&claim(1, 1), message(2)).await, Err(ViewError::NotReady));
        assert_eq!(claims.first(&[sighting(1, 1, 4)]).await, Err(ViewError::NotReady));
    }
    rig.write(vec![accepted(2, Some(claim(2, 2)))]);
    rig.settle().await;
    let same = |n| Ok(Claimed::Same { id: message(n), is_in_log: true });
    assert_eq!(other.claim(&claim(1, 1), message(3)).await, same(1));
    assert_eq!(other.claim(&claim(2, 2), message(3)).await, same(2));
}
