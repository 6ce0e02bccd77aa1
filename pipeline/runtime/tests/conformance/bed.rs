//! The ground a law is tried on.

use runtime::log::Log;

/// A fresh log, or a namespace of one in which nothing has happened yet.
pub trait Bed {
    fn log(&self) -> &dyn Log;

    /// Called between two polls by whoever waits for something: logs that live by a clock of their
    /// own move it on.
    fn a_moment(&self) {}

    /// The same log over a connection on which answers to commits and writes get lost; whether what was asked
    /// for was done, nobody can tell beforehand.
    fn shaky(&self) -> &dyn Log;

    /// Called before every commit or write that may go wrong, with a number that rises.
    fn shake(&self, _nth: usize) {}
}

/// Runs the named laws, each on a bed of its own.
macro_rules! laws_hold_on {
    ($bed:expr; $($area:ident: $($law:ident),+;)+) => {
        $($(
            #[test]
            fn $law() {
                crate::laws::$area::$law(&$bed);
            }
        )+)+
    };
}

/// Every law there is, on `$bed`.
macro_rules! all_laws_hold_on {
    ($bed:expr) => {
        crate::bed::laws_hold_on! { $bed;
            transactions:
                outputs_and_offsets_become_visible_together,
                what_was_not_committed_is_never_seen,
                a_second_holder_of_a_seat_fences_the_first,
                a_crashed_member_resumes_at_the_committed_offsets,
                an_offset_may_move_without_an_output,
                many_transactions_in_a_row_lose_and_double_nothing,
                an_unknown_outcome_neither_loses_nor_doubles;
            members:
                records_of_one_key_keep_their_order,
                a_share_comes_and_goes_without_loss_or_duplicate,
                a_dead_members_share_is_inherited,
                a_paused_partition_stays_owned_and_delivers_nothing,
                a_pause_drops_nothing_that_was_fetched,
                a_member_without_room_gives_its_share_away,
                lag_counts_what_was_not_handed_out_yet,
                what_a_group_is_behind_is_seen_from_outside_it;
            readers:
                a_record_comes_back_as_it_went,
                the_end_is_told_even_behind_a_transaction,
                the_end_is_told_of_an_empty_topic,
                a_reader_starts_where_it_was_told,
                a_reader_of_named_partitions_reads_no_other,
                the_newest_record_of_a_key_remains;
            writers:
                an_acknowledged_append_is_found_where_it_was_said,
                a_writer_writes_all_or_nothing,
                a_later_writer_of_the_same_name_wins,
                a_name_goes_to_and_fro_and_each_holder_sees_the_end_that_the_other_left,
                a_writers_answer_is_true_or_says_that_it_does_not_know;
            topics:
                applying_again_changes_nothing,
                first_offsets_reach_back_to_the_first_record,
                a_group_without_first_offsets_is_told_so,
                a_missing_topic_is_told_by_name;
        }
    };
}

pub(crate) use {all_laws_hold_on, laws_hold_on};
