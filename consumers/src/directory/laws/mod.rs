//! The directory's laws, the same for each implementation: records in, answers out.

mod consent_facts;
mod hints;
mod outages;
mod redis;
mod registrations;
mod rig;

use rig::{Rig, check_found};

/// One test for each law and each implementation.
macro_rules! laws {
    ($rig:expr => $($area:ident :: $law:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $law() {
            super::$area::$law($rig).await;
        }
    )*};
}

macro_rules! implementations {
    ($($name:ident: $rig:expr),* $(,)?) => {$(
        mod $name {
            use super::Rig;

            laws! { $rig =>
                consent_facts::a_view_that_has_not_reached_the_end_answers_nothing,
                consent_facts::nobody_is_found_where_nothing_was_written,
                consent_facts::answers_come_in_the_order_of_the_asks,
                consent_facts::the_newest_record_of_a_part_counts_and_a_tombstone_removes_it,
                consent_facts::an_unsubscribed_service_is_one_service_also_for_a_stranger,
                consent_facts::a_death_ends_registrations_up_to_its_moment_and_a_later_one_lives,
                consent_facts::an_undecodable_record_holds_its_citizen_until_it_is_written_anew,
                consent_facts::a_record_under_a_key_that_is_not_its_own_holds_the_keys_citizen,
                consent_facts::a_key_that_names_nobody_stops_nobody,
                consent_facts::whoever_waits_for_a_write_is_answered_once_it_is_applied,
                hints::a_late_answer_is_found_by_its_own_send_and_by_no_other,
                registrations::facts_of_another_registration_do_not_count,
                registrations::an_erasure_undoes_what_came_before_it,
                registrations::an_erased_registration_never_returns,
                registrations::the_inbox_is_the_present_registrations_newest_first_and_bounded,
                registrations::a_message_that_is_kept_no_longer_leaves_the_inbox,
                registrations::a_whole_erasure_leaves_an_empty_dossier_but_for_its_mark,
                outages::a_repeated_batch_changes_nothing,
                outages::a_record_of_another_version_is_waited_at_and_not_passed_over,
                outages::a_view_that_stands_where_the_log_does_not_reach_is_built_anew,
                outages::a_view_at_rest_takes_what_comes_without_being_opened_again,
            }
        }
    )*};
}

implementations! {
    embedded: Rig::embedded(),
    on_redis: Rig::redis(),
}
