//! Crash points: named places between two deeds at which a process ends itself when it was told to, so that
//! a sweep (`cargo xtask chaos --scenario crash-points`) meets each boundary once.
//!
//! Without the cargo feature `crash-points` a point is an empty function: nothing of it is in a release.
//! With it, the variable `CRASH_POINT` names one: `committed`, or `committed/apns` for one stage or channel.

/// A boundary. Whoever adds one is swept without being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// A worker holds records that it has not handed out.
    Polled,
    /// A stage has answered, its outcome is in hand.
    Handled,
    /// A transaction is about to be asked for.
    Committing,
    /// A transaction has been answered.
    Committed,
    /// Kafka: a transaction is open and empty.
    TransactionBegun,
    /// Kafka: outputs are on their way, their offsets are not.
    Produced,
    /// Kafka: offsets are in the transaction, which may not have been flushed.
    OffsetsSent,
    /// Kafka: all is with the broker but the decision.
    Flushed,
    /// Embedded log: a batch is decided and not written.
    BatchDecided,
    /// Embedded log: a batch is written, and nobody knows.
    BatchWritten,
    /// A channel has decided on sends; none has left.
    SendBegins,
    /// The provider has taken a send.
    ProviderAnswered,
    /// A silent send was handed over; its story is in memory only.
    HandedOver,
    /// The late answer to a silent send is known, and not left for its story.
    HintDue,
    /// It is left.
    HintLeft,
    /// The vault has an object in hand.
    ObjectDue,
    /// The object lies in the store, and no record names it.
    ObjectPut,
    /// The sender API has sealed a message; the log has not got it.
    Sealed,
    /// The log has acknowledged it; the sender does not know.
    Acknowledged,
    /// A citizen's change is written; the view need not show it, nobody was answered.
    ChangeWritten,
    /// The view shows it; nobody was answered.
    ChangeShown,
    /// A view has taken records, and may not be ready.
    ViewApplied,
}

impl Point {
    pub const ALL: [Self; 22] = [
        Self::Polled,
        Self::Handled,
        Self::Committing,
        Self::Committed,
        Self::TransactionBegun,
        Self::Produced,
        Self::OffsetsSent,
        Self::Flushed,
        Self::BatchDecided,
        Self::BatchWritten,
        Self::SendBegins,
        Self::ProviderAnswered,
        Self::HandedOver,
        Self::HintDue,
        Self::HintLeft,
        Self::ObjectDue,
        Self::ObjectPut,
        Self::Sealed,
        Self::Acknowledged,
        Self::ChangeWritten,
        Self::ChangeShown,
        Self::ViewApplied,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polled => "polled",
            Self::Handled => "handled",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::TransactionBegun => "transaction-begun",
            Self::Produced => "produced",
            Self::OffsetsSent => "offsets-sent",
            Self::Flushed => "flushed",
            Self::BatchDecided => "batch-decided",
            Self::BatchWritten => "batch-written",
            Self::SendBegins => "send-begins",
            Self::ProviderAnswered => "provider-answered",
            Self::HandedOver => "handed-over",
            Self::HintDue => "hint-due",
            Self::HintLeft => "hint-left",
            Self::ObjectDue => "object-due",
            Self::ObjectPut => "object-put",
            Self::Sealed => "sealed",
            Self::Acknowledged => "acknowledged",
            Self::ChangeWritten => "change-written",
            Self::ChangeShown => "change-shown",
            Self::ViewApplied => "view-applied",
        }
    }
}

/// The variable that names the point at which this process ends; no key of the configuration.
pub const VARIABLE: &str = "CRASH_POINT";

/// Passes a point of the whole process.
pub fn at(point: Point) {
    of(point, "");
}

/// Passes a point of `whose` stage or channel. Ends the process if it was told to: as a kill would,
/// nothing is unwound, flushed or said goodbye to.
#[cfg(feature = "crash-points")]
pub fn of(point: Point, whose: &str) {
    static TOLD: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let told = TOLD.get_or_init(|| std::env::var(VARIABLE).unwrap_or_default());
    if is_told(told, point, whose) {
        tracing::error!(point = point.name(), whose, "crash point: this process ends here");
        std::process::abort();
    }
}

/// Nothing: this build has no crash points.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub fn of(_: Point, _: &str) {}

#[cfg(any(feature = "crash-points", test))]
fn is_told(told: &str, point: Point, whose: &str) -> bool {
    match told.split_once('/') {
        Some((name, who)) => name == point.name() && who == whose,
        None => told == point.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_told_alone_or_with_whose_it_is() {
        let check = |told: &str, whose: &str, expected: bool| {
            assert_eq!(is_told(told, Point::Committed, whose), expected, "{told} {whose}");
        };
        check("committed", "apns", true);
        check("committed/apns", "apns", true);
        check("committed/apns", "fcm", false);
        check("committing", "apns", false);
        check("", "apns", false);
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Point::ALL.map(Point::name).into();
        assert_eq!(names.len(), Point::ALL.len());
    }

    /// The tests of the workspace are built without the feature, as a release is.
    #[cfg(not(feature = "crash-points"))]
    #[test]
    fn without_the_feature_no_point_ends_a_process() {
        Point::ALL.into_iter().for_each(at);
        assert_eq!(std::mem::size_of_val(&at), 0);
    }
}
