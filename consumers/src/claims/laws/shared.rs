//! What a key stands for.

use std::time::Duration;

use policy::claim::Claimed;

use super::Rig;
use super::rig::{KEPT, accepted, at, claim, message, sighting};
use crate::view::ViewError;

pub async fn a_view_that_has_not_reached_the_end_answers_nothing(mut rig: Rig) {
    rig.write((0..30).map(|n| accepted(n, Some(claim(1, 1)))).collect());
    assert_eq!(rig.claims.claim(&claim(1, 1), message(99)).await, Err(ViewError::NotReady));
    rig.projector.step().await.expect("the log holds");
    assert_eq!(rig.claims.claim(&claim(1, 1), message(99)).await, Err(ViewError::NotReady));
    assert_eq!(rig.claims.first(&[sighting(1, 1, 5)]).await, Err(ViewError::NotReady));
    rig.settle().await;
    let same = Claimed::Same { id: message(0), is_in_log: true };
    assert_eq!(rig.claims.claim(&claim(1, 1), message(99)).await, Ok(same));
}

pub async fn of_many_who_claim_at_once_one_wins_and_all_get_its_id(mut rig: Rig) {
    rig.settle().await;
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..20 {
        let claims = rig.claims.clone();
        racing.spawn(async move { (n, claims.claim(&claim(1, 1), message(n)).await) });
    }
    let ended = racing.join_all().await;
    let winners: Vec<_> = ended.iter().filter(|(_, end)| *end == Ok(Claimed::New)).collect();
    assert_eq!(winners.len(), 1);
    let same = Ok(Claimed::Same { id: message(winners[0].0), is_in_log: false });
    assert_eq!(ended.iter().filter(|(_, end)| *end == same).count(), 19);
}

pub async fn a_claim_remembers_its_request_and_whether_its_message_is_in_the_log(mut rig: Rig) {
    rig.settle().await;
    assert_eq!(rig.claims.claim(&claim(1, 1), message(1)).await, Ok(Claimed::New));
    assert_eq!(rig.claims.claim(&claim(1, 2), message(2)).await, Ok(Claimed::Other));
    let same = |is_in_log| Ok(Claimed::Same { id: message(1), is_in_log });
    assert_eq!(rig.claims.claim(&claim(1, 1), message(3)).await, same(false));
    rig.tell(vec![accepted(1, Some(claim(1, 1)))]).await;
    assert_eq!(rig.claims.claim(&claim(1, 1), message(4)).await, same(true));
    assert_eq!(rig.claims.claim(&claim(2, 2), message(5)).await, Ok(Claimed::New));
}

/// Consent and the projector read one partition each in its order, at their own pace.
pub async fn the_first_record_stays_the_first_whoever_meets_it_first(mut rig: Rig) {
    rig.settle().await;
    let ahead = rig.claims.first(&[sighting(1, 1, 0), sighting(2, 2, 1), sighting(1, 1, 2)]).await;
    let (one, two) = (Some((message(1), at(0))), Some((message(2), at(1))));
    assert_eq!(ahead, Ok(vec![one, two, one]));
    let records = [(1, 1), (2, 2), (1, 1), (3, 3), (3, 3)];
    rig.tell(records.map(|(id, name)| accepted(id, Some(claim(name, 1)))).into()).await;
    let three = Some((message(3), at(3)));
    let behind = rig.claims.first(&[sighting(1, 1, 2), sighting(3, 3, 4), sighting(3, 3, 3)]).await;
    assert_eq!(behind, Ok(vec![one, three, three]));
}

pub async fn a_rebuilt_view_knows_every_claim_that_the_log_holds(mut rig: Rig) {
    rig.tell(vec![accepted(1, Some(claim(1, 1)))]).await;
    assert_eq!(rig.claims.claim(&claim(2, 2), message(2)).await, Ok(Claimed::New));
    rig.lose().await;
    assert_eq!(rig.claims.claim(&claim(1, 1), message(3)).await, Err(ViewError::NotReady));
    rig.settle().await;
    let same = Claimed::Same { id: message(1), is_in_log: true };
    assert_eq!(rig.claims.claim(&claim(1, 1), message(3)).await, Ok(same));
    assert_eq!(rig.claims.first(&[sighting(1, 1, 9)]).await, Ok(vec![Some((message(1), at(0)))]));
}

pub async fn a_message_without_a_key_is_not_held(mut rig: Rig) {
    rig.tell(vec![accepted(1, None)]).await;
    assert_eq!(rig.claims.claim(&claim(1, 1), message(2)).await, Ok(Claimed::New));
}

pub async fn a_claim_ends_with_its_time(mut rig: Rig) {
    rig.settle().await;
    assert_eq!(rig.claims.claim(&claim(1, 1), message(1)).await, Ok(Claimed::New));
    let over = rig.world.now().plus(KEPT + Duration::from_millis(20));
    rig.world.sleep_until(over).await;
    assert_eq!(rig.claims.claim(&claim(1, 2), message(2)).await, Ok(Claimed::New));
}
