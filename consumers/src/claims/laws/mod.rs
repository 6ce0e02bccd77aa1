//! The claims' laws, the same for each implementation, and what only a server can do to it.

mod redis;
mod rig;
mod shared;

use rig::Rig;

macro_rules! laws {
    ($rig:expr => $($law:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $law() {
            super::shared::$law($rig).await;
        }
    )*};
}

macro_rules! implementations {
    ($($name:ident: $rig:expr),* $(,)?) => {$(
        mod $name {
            use super::Rig;

            laws! { $rig =>
                a_view_that_has_not_reached_the_end_answers_nothing,
                of_many_who_claim_at_once_one_wins_and_all_get_its_id,
                a_claim_remembers_its_request_and_whether_its_message_is_in_the_log,
                the_first_record_stays_the_first_whoever_meets_it_first,
                a_rebuilt_view_knows_every_claim_that_the_log_holds,
                a_message_without_a_key_is_not_held,
                a_claim_ends_with_its_time,
            }
        }
    )*};
}

implementations! {
    embedded: Rig::embedded(),
    on_redis: Rig::redis(),
}
