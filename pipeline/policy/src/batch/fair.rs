//! Whose rows leave next: deficit round robin over the senders that have some (Shreedhar and Varghese,
//! 1995). A row counts as one.
//!
//! Laws, each with a test: nobody waits for more than one round of the others; of two senders that both
//! have rows all along, neither is ahead of its weight by more than its quantum; nothing of a budget
//! stays unused while anybody has rows.

use std::collections::{BTreeMap, VecDeque};

/// What a sender has waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    pub rows: u64,
    /// Its share beside the others', at least 1.
    pub weight: u32,
}

/// The round. Senders keep their place and their credit between two calls.
#[derive(Debug, Clone)]
pub struct Fair<S> {
    quantum: u64,
    /// The head is next; who has just got its quantum and not used it up stays the head.
    round: VecDeque<Turn<S>>,
}

#[derive(Debug, Clone)]
struct Turn<S> {
    sender: S,
    credit: u64,
    /// Its quantum of this round is in the credit.
    granted: bool,
}

impl<S: Ord + Clone> Fair<S> {
    /// Each turn brings a sender so many rows, times its weight.
    #[must_use]
    pub fn new(quantum: u64) -> Self {
        Self { quantum: quantum.max(1), round: VecDeque::new() }
    }

    /// Deals out `budget` rows: who releases how many, in this order. A sender may come up several times.
    pub fn deal(&mut self, waiting: &BTreeMap<S, Demand>, budget: u64) -> Vec<(S, u64)> {
        self.admit(waiting);
        let mut left: BTreeMap<S, u64> =
            waiting.iter().map(|(sender, demand)| (sender.clone(), demand.rows)).collect();
        let (mut budget, mut dealt) = (budget, Vec::new());
        while budget > 0 {
            let Some(mut turn) = self.round.pop_front() else { break };
            let weight = waiting.get(&turn.sender).map_or(1, |demand| demand.weight.max(1));
            if !turn.granted {
                turn.credit += self.quantum.saturating_mul(u64::from(weight));
                turn.granted = true;
            }
            let rows = left.get_mut(&turn.sender).map_or(0, |left| {
                let rows = turn.credit.min(*left).min(budget);
                *left -= rows;
                rows
            });
            budget -= rows;
            turn.credit -= rows;
            if rows > 0 {
                dealt.push((turn.sender.clone(), rows));
            }
            let has_more = left.get(&turn.sender).is_some_and(|left| *left > 0);
            match (has_more, turn.credit > 0) {
                // The budget is at its end: the turn goes on next time.
                (true, true) => self.round.push_front(turn),
                (true, false) => self.round.push_back(Turn { granted: false, ..turn }),
                // Credit is not saved up for rows that come later.
                (false, _) => {}
            }
        }
        dealt
    }

    /// New senders go to the end; those without rows leave and lose their credit.
    fn admit(&mut self, waiting: &BTreeMap<S, Demand>) {
        let has_rows = |sender: &S| waiting.get(sender).is_some_and(|demand| demand.rows > 0);
        self.round.retain(|turn| has_rows(&turn.sender));
        for sender in waiting.keys().filter(|sender| has_rows(sender)) {
            if !self.round.iter().any(|turn| turn.sender == *sender) {
                let turn = Turn { sender: sender.clone(), credit: 0, granted: false };
                self.round.push_back(turn);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUANTUM: u64 = 10;

    fn demand(rows: u64, weight: u32) -> Demand {
        Demand { rows, weight }
    }

    /// Deals again and again; what each has got after each budget.
    fn served(waiting: &BTreeMap<u8, Demand>, budgets: &[u64]) -> Vec<BTreeMap<u8, u64>> {
        let (mut fair, mut waiting) = (Fair::new(QUANTUM), waiting.clone());
        let mut got: BTreeMap<u8, u64> = waiting.keys().map(|sender| (*sender, 0)).collect();
        let deal = |budget: &u64| {
            for (sender, rows) in fair.deal(&waiting, *budget) {
                waiting.get_mut(&sender).unwrap().rows -= rows;
                *got.get_mut(&sender).unwrap() += rows;
            }
            got.clone()
        };
        budgets.iter().map(deal).collect()
    }

    fn senders(rows: std::ops::Range<u64>) -> impl Strategy<Value = BTreeMap<u8, Demand>> {
        let one = (rows, 1_u32..5).prop_map(|(rows, weight)| demand(rows, weight));
        prop::collection::btree_map(any::<u8>(), one, 1..8)
    }

    proptest! {
        #[test]
        fn nothing_of_a_budget_stays_unused_while_anybody_has_rows(
            waiting in senders(0..200), budgets in prop::collection::vec(0_u64..300, 1..8)
        ) {
            let all: u64 = waiting.values().map(|demand| demand.rows).sum();
            let got: u64 = served(&waiting, &budgets).last().unwrap().values().sum();
            prop_assert_eq!(got, all.min(budgets.iter().sum()));
        }

        #[test]
        fn of_two_senders_with_rows_all_along_neither_is_ahead_by_more_than_its_quantum(
            weights in prop::collection::btree_map(any::<u8>(), 1_u32..5, 2..8),
            budgets in prop::collection::vec(0_u64..300, 1..12)
        ) {
            let waiting: BTreeMap<_, _> =
                weights.iter().map(|(sender, weight)| (*sender, demand(1 << 40, *weight))).collect();
            for got in served(&waiting, &budgets) {
                for (one, other) in weights.keys().flat_map(|a| weights.keys().map(move |b| (a, b))) {
                    let share = |sender| got[sender] as f64 / f64::from(weights[sender]);
                    prop_assert!((share(one) - share(other)).abs() <= QUANTUM as f64, "{got:?}");
                }
            }
        }

        #[test]
        fn whoever_comes_waits_for_one_round_of_the_others_at_most(
            giants in senders(1 << 30..1 << 31), before in prop::collection::vec(0_u64..300, 0..6)
        ) {
            let mut fair = Fair::new(QUANTUM);
            let mut waiting: BTreeMap<u16, Demand> =
                giants.iter().map(|(sender, demand)| (u16::from(*sender), *demand)).collect();
            for budget in before {
                fair.deal(&waiting, budget);
            }
            waiting.insert(1_000, demand(1, 1));
            let round: u64 = giants.values().map(|one| QUANTUM * u64::from(one.weight)).sum();
            let dealt = fair.deal(&waiting, round + 1);
            prop_assert!(dealt.contains(&(1_000, 1)), "{dealt:?}");
        }

        #[test]
        fn nobody_gets_more_than_it_has(
            waiting in senders(0..50), budgets in prop::collection::vec(0_u64..300, 1..8)
        ) {
            for got in served(&waiting, &budgets) {
                prop_assert!(got.iter().all(|(sender, got)| *got <= waiting[sender].rows));
            }
        }
    }

    #[test]
    fn a_sender_that_was_idle_has_saved_nothing_up() {
        let mut fair = Fair::new(QUANTUM);
        let both = |rows| BTreeMap::from([(1, demand(1 << 20, 1)), (2, demand(rows, 1))]);
        fair.deal(&both(3), 1_000);
        let dealt = fair.deal(&both(1 << 20), 2 * QUANTUM);
        let second = dealt.iter().filter(|(sender, _)| *sender == 2).map(|(_, rows)| *rows);
        assert!(second.sum::<u64>() <= QUANTUM, "{dealt:?}");
    }
}
