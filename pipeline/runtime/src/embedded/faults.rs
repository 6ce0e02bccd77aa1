//! Failures on demand, so that tests and simulations meet what machines do rarely.

/// Which call meets the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`crate::log::Member::commit`].
    Commit,
    /// [`crate::log::Writer::write`].
    Write,
    /// [`crate::log::Appender::append`].
    Append,
    /// [`crate::log::Member::poll`]; answers `Unavailable` whatever the fault.
    Poll,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused, certainly not applied.
    RefuseBefore,
    /// Applied, but the caller only learns that it is not known: a commit answers `Rewound` with
    /// the offsets as they are afterwards, the others answer `Unknown`.
    AppliedButUnknown,
    /// The same answer, and nothing was applied.
    NotAppliedUnknown,
    /// The store fails as a full disk would: nothing of the whole batch is applied.
    StoreFails,
}
