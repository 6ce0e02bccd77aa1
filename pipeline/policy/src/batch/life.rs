//! A batch's life, as its owner keeps it: what an order changes, and what time does.

use schemas::ids::Timestamp;
use schemas::records::{BatchChunk, BatchCommand, BatchOrder, BatchPhase, BatchState};

use super::identity::MOST_ROWS;
use super::window;

/// What an order did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Changed,
    /// The rows of this chunk belong to the batch from now on.
    Taken(BatchChunk),
    /// It came too late, twice, or from somebody else: whoever asked sees the state as it is.
    Nothing,
}

/// The state that a batch begins with; nothing where the order makes none.
#[must_use]
pub fn begun(order: &BatchCommand) -> Option<BatchState> {
    if order.order != BatchOrder::Create {
        return None;
    }
    Some(BatchState {
        batch_id: order.batch_id.clone(),
        service_id: order.service_id.clone(),
        plan: order.plan.clone()?,
        phase: BatchPhase::Receiving,
        complete: false,
        chunks: 0,
        rows: 0,
        refused: 0,
        repeated: 0,
        released: 0,
        sent: 0,
        withdrawn: 0,
        answered: 0,
        updated_at: order.at,
    })
}

/// What `order` makes of a batch. Each order may come again: the second one changes nothing.
pub fn obey(state: &mut BatchState, order: &BatchCommand, now: Timestamp) -> Done {
    if order.service_id != state.service_id {
        return Done::Nothing;
    }
    let done = match order.order {
        BatchOrder::Append => match order.chunk.as_ref().filter(|chunk| follows(state, chunk)) {
            Some(chunk) => {
                state.chunks += 1;
                state.rows += chunk.rows;
                state.refused += chunk.refused;
                state.repeated += chunk.repeated;
                Done::Taken(chunk.clone())
            }
            None => Done::Nothing,
        },
        BatchOrder::Complete => change(state, is_receiving(state), |state| state.complete = true),
        BatchOrder::Pause => {
            let may = !is_over(state.phase) && state.phase != BatchPhase::Paused;
            change(state, may, |state| state.phase = BatchPhase::Paused)
        }
        BatchOrder::Resume => {
            let may = state.phase == BatchPhase::Paused;
            change(state, may, |state| state.phase = BatchPhase::Receiving)
        }
        BatchOrder::Cancel => {
            let may = !is_over(state.phase);
            change(state, may, |state| state.phase = BatchPhase::Cancelled)
        }
        BatchOrder::Create | BatchOrder::Unknown => Done::Nothing,
    };
    if done != Done::Nothing {
        state.updated_at = now;
    }
    look(state, now);
    done
}

fn change(state: &mut BatchState, may: bool, how: impl FnOnce(&mut BatchState)) -> Done {
    if !may {
        return Done::Nothing;
    }
    how(state);
    Done::Changed
}

/// A chunk is taken only where the rows end: of two uploads at once the slower one's is not.
fn follows(state: &BatchState, chunk: &BatchChunk) -> bool {
    is_receiving(state)
        && chunk.batch_id == state.batch_id
        && chunk.number == state.chunks
        && chunk.first_row == state.rows
        && chunk.rows > 0
        && (0..=chunk.rows).contains(&chunk.refused)
        && state.rows + chunk.rows <= MOST_ROWS
}

fn is_receiving(state: &BatchState) -> bool {
    let open = matches!(state.phase, BatchPhase::Receiving | BatchPhase::Paused);
    open && !state.complete
}

/// Nothing more will be done for it.
#[must_use]
pub fn is_over(phase: BatchPhase) -> bool {
    match phase {
        BatchPhase::Cancelled | BatchPhase::Finished => true,
        BatchPhase::Receiving
        | BatchPhase::Scheduled
        | BatchPhase::Releasing
        | BatchPhase::Paused
        | BatchPhase::Unknown => false,
    }
}

/// What time has made of a batch: whether its phase has changed.
pub fn look(state: &mut BatchState, now: Timestamp) -> bool {
    let next = match state.phase {
        BatchPhase::Receiving | BatchPhase::Scheduled | BatchPhase::Releasing => {
            match (state.complete, state.plan.dry_run || state.released >= state.rows) {
                (false, _) => BatchPhase::Receiving,
                (true, true) => BatchPhase::Finished,
                (true, false) if window::is_open(&state.plan, now) => BatchPhase::Releasing,
                (true, false) => BatchPhase::Scheduled,
            }
        }
        phase @ (BatchPhase::Paused
        | BatchPhase::Cancelled
        | BatchPhase::Finished
        | BatchPhase::Unknown) => phase,
    };
    let changed = next != state.phase;
    if changed {
        state.phase = next;
        state.updated_at = now;
    }
    changed
}

/// Rows that may be released now.
#[must_use]
pub fn releasable(state: &BatchState) -> i64 {
    if state.phase == BatchPhase::Releasing { state.rows - state.released } else { 0 }
}

/// Whether an order that has been answered did what its sender wished; else why not, and what to do.
///
/// # Errors
/// A sentence for the sender.
pub fn answered(order: BatchOrder, state: &BatchState) -> Result<(), &'static str> {
    match (order, state.phase) {
        (BatchOrder::Create | BatchOrder::Append | BatchOrder::Unknown, _)
        | (BatchOrder::Pause, BatchPhase::Paused)
        | (BatchOrder::Cancel, BatchPhase::Cancelled)
        | (
            BatchOrder::Resume,
            BatchPhase::Receiving | BatchPhase::Scheduled | BatchPhase::Releasing,
        ) => Ok(()),
        (BatchOrder::Complete, _) if state.complete => Ok(()),
        (BatchOrder::Resume, BatchPhase::Finished) if state.complete => Ok(()),
        (_, BatchPhase::Cancelled) => {
            Err("The batch was cancelled. Send the rows that were not released in a new one.")
        }
        (_, BatchPhase::Finished) => Err("Every row of the batch has been released already."),
        (_, BatchPhase::Unknown) => {
            Err("The batch is in a phase that this server does not know. Ask its operators.")
        }
        (
            _,
            BatchPhase::Receiving
            | BatchPhase::Scheduled
            | BatchPhase::Releasing
            | BatchPhase::Paused,
        ) => Err("The batch went on meanwhile by another order. Look at it, and ask again."),
    }
}

#[cfg(test)]
#[path = "life_laws.rs"]
mod laws;
