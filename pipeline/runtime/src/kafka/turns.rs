//! Whose turn it is to begin a transaction, and when nobody may: pure.
//!
//! ```text
//! Idle ─► Open ─► OffsetsSent ─► Flushed ─► Committing ─► Idle (next turn)
//!           └──────────┴─────────────┴──────────┴─► Aborting ─► Idle (next turn)
//! any ─► Broken (outcome unknown) ─► Idle, once every id is initialised again
//! any ─► Fenced, for good
//! ```

/// How far the one transaction of a member has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is open: a transaction may begin, partitions may be given away.
    Idle,
    Open,
    OffsetsSent,
    Flushed,
    Committing,
    Aborting,
    /// An outcome is unknown: no producer of the member may begin.
    Broken,
    /// Another process holds the seat.
    Fenced,
}

#[derive(Debug)]
pub(super) struct Turns {
    producers: usize,
    turn: usize,
    state: State,
}

impl Turns {
    /// `producers` is at least 1.
    pub(super) fn new(producers: usize) -> Self {
        Self { producers: producers.max(1), turn: 0, state: State::Idle }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// The producer that begins now; none unless the previous outcome is known.
    pub(super) fn begin(&mut self) -> Option<usize> {
        match self.state {
            State::Idle => {
                self.state = State::Open;
                Some(self.turn)
            }
            State::Open
            | State::OffsetsSent
            | State::Flushed
            | State::Committing
            | State::Aborting
            | State::Broken
            | State::Fenced => None,
        }
    }

    /// The open transaction has come to `state`, one of `OffsetsSent`, `Flushed`, `Committing` and
    /// `Aborting`. Ignored where it would lead back or out of `Idle`, `Broken` and `Fenced`.
    pub(super) fn reached(&mut self, state: State) {
        if self.is_open() && rank(state) > rank(self.state) {
            self.state = state;
        }
    }

    /// The outcome is known, either way: the next producer's turn.
    pub(super) fn decided(&mut self) {
        if self.is_open() {
            self.state = State::Idle;
            self.turn = (self.turn + 1) % self.producers;
        }
    }

    /// Nobody knows the outcome.
    pub(super) fn unknown(&mut self) {
        if self.state != State::Fenced {
            self.state = State::Broken;
        }
    }

    /// Every id has been initialised again, which decided whatever was open.
    pub(super) fn rebuilt(&mut self) {
        if self.state == State::Broken {
            self.state = State::Idle;
            self.turn = 0;
        }
    }

    pub(super) fn fenced(&mut self) {
        self.state = State::Fenced;
    }

    fn is_open(&self) -> bool {
        (1..=5).contains(&rank(self.state))
    }
}

fn rank(state: State) -> u8 {
    match state {
        State::Idle => 0,
        State::Open => 1,
        State::OffsetsSent => 2,
        State::Flushed => 3,
        State::Committing => 4,
        State::Aborting => 5,
        State::Broken => 6,
        State::Fenced => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PHASES: [State; 5] =
        [State::Open, State::OffsetsSent, State::Flushed, State::Committing, State::Aborting];

    #[test]
    fn producers_take_turns() {
        let mut turns = Turns::new(3);
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(turns.begin());
            turns.decided();
        }
        assert_eq!(order, [Some(0), Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn nobody_begins_before_the_previous_outcome_is_known() {
        for phase in PHASES {
            let mut turns = Turns::new(3);
            turns.begin();
            turns.reached(phase);
            assert_eq!(turns.begin(), None, "in {phase:?}");
            turns.decided();
            assert_eq!(turns.begin(), Some(1));
        }
    }

    #[test]
    fn an_unknown_commit_stops_the_next_producer() {
        for phase in PHASES {
            let mut turns = Turns::new(3);
            turns.begin();
            turns.reached(phase);
            turns.unknown();
            assert_eq!(turns.begin(), None, "after an unknown outcome in {phase:?}");
            // A late answer changes nothing: only the new start of every id does.
            turns.decided();
            assert_eq!(turns.begin(), None);
            turns.rebuilt();
            assert_eq!(turns.begin(), Some(0));
        }
    }

    #[test]
    fn a_fenced_member_never_begins_again() {
        let mut turns = Turns::new(2);
        turns.begin();
        turns.fenced();
        turns.unknown();
        turns.rebuilt();
        turns.decided();
        assert_eq!((turns.begin(), turns.state()), (None, State::Fenced));
    }

    #[test]
    fn a_transaction_never_goes_back_a_step() {
        let mut turns = Turns::new(1);
        turns.begin();
        turns.reached(State::Flushed);
        turns.reached(State::OffsetsSent);
        assert_eq!(turns.state(), State::Flushed);
    }

    proptest! {
        /// Whatever happens in whatever order, a turn begins only out of `Idle`, and after an unknown
        /// outcome only once everything was rebuilt.
        #[test]
        fn a_turn_begins_only_when_all_before_it_is_known(steps in prop::collection::vec(0..6_u8, 0..60)) {
            let mut turns = Turns::new(3);
            let (mut open, mut unknown, mut fenced) = (false, false, false);
            for step in steps {
                match step {
                    0 => {
                        let began = turns.begin().is_some();
                        prop_assert_eq!(began, !open && !unknown && !fenced);
                        open |= began;
                    }
                    1 => { turns.decided(); open &= unknown || fenced; }
                    2 => { turns.unknown(); unknown = true; }
                    3 => { turns.rebuilt(); if unknown && !fenced { unknown = false; open = false; } }
                    4 => turns.reached(State::Committing),
                    _ => { turns.fenced(); fenced = true; }
                }
            }
        }
    }
}
