//! Ctrl-C and its kin. The command itself stays until what it started has ended; a signal is passed
//! to the child in front and shortens every wait.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

#[derive(Default)]
struct State {
    requested: bool,
    child: Option<i32>,
}

static STATE: OnceLock<(Mutex<State>, Condvar)> = OnceLock::new();

fn state() -> &'static (Mutex<State>, Condvar) {
    STATE.get_or_init(Default::default)
}

/// Takes the signals over; call once, before anything is started.
pub fn listen() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot watch signals")?;
    std::thread::spawn(move || {
        for number in signals.forever() {
            let (lock, changed) = state();
            let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
            state.requested = true;
            if let Some(pid) = state.child {
                let signal = if number == SIGINT { Signal::SIGINT } else { Signal::SIGTERM };
                let _ = kill(Pid::from_raw(pid), signal);
            }
            changed.notify_all();
        }
    });
    Ok(())
}

/// Somebody asked this command to end.
#[must_use]
pub fn requested() -> bool {
    state().0.lock().unwrap_or_else(PoisonError::into_inner).requested
}

/// Signals that come from now on are passed to this child; `None` ends that.
pub fn pass_to(child: Option<u32>) {
    let mut state = state().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.child = child.and_then(|pid| i32::try_from(pid).ok());
}

/// Lets `time` pass, or less when a signal comes.
pub fn pause(time: Duration) {
    let (lock, changed) = state();
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = changed.wait_timeout_while(guard, time, |state| !state.requested);
}

/// Asks `done` every `step` until it says yes; no after `limit` or a signal.
pub fn wait_until(limit: Duration, step: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if requested() || Instant::now() >= end {
            return false;
        }
        pause(step);
    }
}
