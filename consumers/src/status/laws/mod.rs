//! The status view's laws, the same for each implementation.

mod rig;
mod view;

use rig::Rig;

macro_rules! laws {
    ($rig:expr => $($law:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $law() {
            super::view::$law($rig).await;
        }
    )*};
}

macro_rules! implementations {
    ($($name:ident: $rig:expr),* $(,)?) => {$(
        mod $name {
            use super::Rig;

            laws! { $rig =>
                a_view_that_has_not_reached_the_end_answers_nothing,
                a_fresh_message_is_found_before_it_has_any_status,
                a_message_nobody_sent_is_not_found,
                the_status_is_the_highest_event_whatever_the_order,
                the_last_outcome_of_each_channel_is_known,
                a_long_timeline_forgets_attempts_and_never_a_status,
                whoever_waits_is_answered_at_the_next_event,
                whoever_waits_in_vain_is_told_what_is_known,
                a_message_is_forgotten_after_its_time,
            }
        }
    )*};
}

implementations! {
    embedded: Rig::embedded(),
    on_redis: Rig::redis(),
}
