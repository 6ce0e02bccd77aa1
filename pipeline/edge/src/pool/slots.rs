//! Who may use which stream: the pool's own count of streams, and the queue of those who wait.
//!
//! A stream is leased under one lock, on the connection with most room, to whoever waits longest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::connection::Connection;
use super::{Down, PoolConfig, Snapshot, Unsent};

/// What one of the pool's places for a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A connection is being opened for the first time, or to replace one that worked.
    Opening,
    Live,
    /// The last attempt failed, and none has succeeded since.
    Down(Down),
}

struct State {
    places: Vec<Place>,
    live: Vec<Arc<Connection>>,
    in_flight: usize,
    waiters: VecDeque<Waiter>,
    closed: bool,
}

type Waiter = oneshot::Sender<Result<Lease, Unsent>>;

pub(super) struct Slots {
    state: Mutex<State>,
    in_flight_cap: usize,
    waiting_cap: usize,
    /// Connections not yet ended, draining ones included.
    open: watch::Sender<usize>,
}

/// The right to one stream of one connection; given back when dropped.
pub(super) struct Lease {
    pub connection: Arc<Connection>,
    slots: Arc<Slots>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let served = {
            let mut state = self.slots.state.lock();
            state.in_flight -= 1;
            self.connection.give_back_stream();
            self.slots.serve(&mut state)
        };
        deliver(served);
    }
}

fn deliver(served: Vec<(Waiter, Lease)>) {
    for (waiter, lease) in served {
        // Who has stopped waiting in between gives the stream back by not taking it.
        drop(waiter.send(Ok(lease)));
    }
}

impl Slots {
    pub fn new(config: &PoolConfig) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                places: vec![Place::Opening; config.connections],
                live: Vec::with_capacity(config.connections),
                in_flight: 0,
                waiters: VecDeque::new(),
                closed: false,
            }),
            in_flight_cap: config.in_flight,
            waiting_cap: config.waiting,
            open: watch::Sender::new(0),
        })
    }

    /// A stream, at once or when one is free, not on the connection to `avoid` if another has
    /// room. Fails when none can become free by waiting.
    pub async fn acquire(
        self: &Arc<Self>,
        avoid: Option<&Arc<Connection>>,
    ) -> Result<Lease, Unsent> {
        let waiting = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Unsent::Closed);
            }
            // Nobody overtakes those who wait; but if some do, no stream is free.
            if state.waiters.is_empty()
                && let Some(lease) = self.lease(&mut state, avoid)
            {
                return Ok(lease);
            }
            if let Some(down) = all_down(&state) {
                return Err(Unsent::Down(down));
            }
            if state.waiters.len() >= self.waiting_cap {
                state.waiters.retain(|waiter| !waiter.is_closed());
            }
            if state.waiters.len() >= self.waiting_cap {
                return Err(Unsent::QueueFull);
            }
            let (waiter, waiting) = oneshot::channel();
            state.waiters.push_back(waiter);
            waiting
        };
        waiting.await.unwrap_or(Err(Unsent::Closed))
    }

    /// A connection is open in `place` and may be given out. False when the pool is closed.
    pub fn opened(self: &Arc<Self>, place: usize, connection: Arc<Connection>) -> bool {
        let served = {
            let mut state = self.state.lock();
            if state.closed {
                return false;
            }
            state.places[place] = Place::Live;
            state.live.push(connection);
            self.open.send_modify(|open| *open += 1);
            self.serve(&mut state)
        };
        deliver(served);
        true
    }

    /// An attempt to open a connection in `place` failed. When that leaves nothing to hope for
    /// soon, everybody who waits is told.
    pub fn failed(&self, place: usize, down: Down) {
        let mut state = self.state.lock();
        state.places[place] = Place::Down(down);
        tell_if_all_down(&mut state);
    }

    /// The connection of `place` is not given out any more; another will be opened, soon unless
    /// the place is `down`.
    pub fn retired(&self, place: usize, connection: &Arc<Connection>, down: Option<Down>) {
        let mut state = self.state.lock();
        state.places[place] = down.map_or(Place::Opening, Place::Down);
        state.live.retain(|live| !Arc::ptr_eq(live, connection));
        tell_if_all_down(&mut state);
    }

    /// A connection that was once [`opened`](Self::opened) has ended.
    pub fn ended(&self) {
        self.open.send_modify(|open| *open -= 1);
    }

    /// More streams may be free than before.
    pub fn widened(self: &Arc<Self>) {
        let served = self.serve(&mut self.state.lock());
        deliver(served);
    }

    /// Gives out nothing more, tells those who wait, and retires all connections.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiters.drain(..).for_each(|waiter| drop(waiter.send(Err(Unsent::Closed))));
        state.live.drain(..).for_each(|connection| connection.retire());
    }

    pub async fn all_ended(&self) {
        // The sender is ours: waiting cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Whether any connection may be given out, were it not for its streams.
    pub fn has_connection(&self) -> bool {
        !self.state.lock().live.is_empty()
    }

    pub fn free(&self) -> usize {
        free(&self.state.lock(), self.in_flight_cap)
    }

    /// Fills in the gauges.
    pub fn measure(&self, counts: Snapshot) -> Snapshot {
        let state = self.state.lock();
        Snapshot {
            live: state.live.len(),
            draining: self.open.borrow().saturating_sub(state.live.len()),
            streams_used: state.in_flight,
            streams_free: free(&state, self.in_flight_cap),
            waiting: state.waiters.iter().filter(|waiter| !waiter.is_closed()).count(),
            ..counts
        }
    }

    /// Leases to those who wait, in order, as long as a stream is free. To be delivered when the
    /// lock is released: a lease that finds nobody is given back, and that locks again.
    #[must_use]
    fn serve(self: &Arc<Self>, state: &mut State) -> Vec<(Waiter, Lease)> {
        let mut served = Vec::new();
        while let Some(waiter) = state.waiters.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            let Some(lease) = self.lease(state, None) else {
                state.waiters.push_front(waiter);
                break;
            };
            served.push((waiter, lease));
        }
        served
    }

    fn lease(
        self: &Arc<Self>,
        state: &mut State,
        avoid: Option<&Arc<Connection>>,
    ) -> Option<Lease> {
        if state.in_flight >= self.in_flight_cap {
            return None;
        }
        let is_other = |one: &Arc<Connection>| !avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, one));
        let (most_room, _) = state
            .live
            .iter()
            .map(|connection| (connection, connection.free_streams()))
            .filter(|(_, free)| *free > 0)
            .max_by_key(|(connection, free)| (is_other(connection), *free))?;
        most_room.take_stream();
        state.in_flight += 1;
        Some(Lease { connection: most_room.clone(), slots: self.clone() })
    }
}

fn tell_if_all_down(state: &mut State) {
    if let Some(down) = all_down(state) {
        // Who has stopped waiting needs no answer.
        state.waiters.drain(..).for_each(|waiter| drop(waiter.send(Err(Unsent::Down(down)))));
    }
}

fn all_down(state: &State) -> Option<Down> {
    let mut last = None;
    for place in &state.places {
        match place {
            Place::Down(down) => last = Some(*down),
            Place::Opening | Place::Live => return None,
        }
    }
    last
}

fn free(state: &State, in_flight_cap: usize) -> usize {
    let streams: usize = state.live.iter().map(|connection| connection.free_streams()).sum();
    let allowed = in_flight_cap - state.in_flight;
    streams.min(allowed).saturating_sub(state.waiters.len())
}

/// A connection's own count of streams, changed only under the lock of [`Slots`].
#[derive(Debug)]
pub(super) struct Streams {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl Streams {
    pub fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0) }
    }

    pub fn free(&self) -> usize {
        self.limit.load(Ordering::Relaxed).saturating_sub(self.used())
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Sets the limit and returns the one before.
    pub fn set_limit(&self, limit: usize) -> usize {
        self.limit.swap(limit, Ordering::Relaxed)
    }

    pub fn take(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives one back and returns how many are left in use.
    pub fn give_back(&self) -> usize {
        self.used.fetch_sub(1, Ordering::Relaxed) - 1
    }
}
