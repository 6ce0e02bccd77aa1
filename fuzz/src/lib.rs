//! Hostile input: each target gives bytes to the code that reads them from strangers, and says what must
//! hold whatever they are.
//!
//! Two ways to run it. `cargo xtask fuzz` is guided by coverage (libFuzzer over instrumented code of ours,
//! on the stable toolchain); the tests of this crate replay every kept case and a bounded number of seeded
//! mutations of them, unguided. What the first finds is kept below `corpus/` and replayed by the second.

pub mod kept;
pub mod mutate;
mod targets;

/// One place where strangers' bytes are read.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Panics where something that must hold does not.
    pub run: fn(&[u8]),
    /// Longer inputs exercise nothing more.
    pub longest: usize,
}

/// Every target, in the order of a message's way.
pub const TARGETS: [Target; 11] = [
    Target { name: "message_body", run: targets::requests::message_body, longest: 8_192 },
    Target { name: "profile_body", run: targets::requests::profile_body, longest: 512 },
    Target { name: "citizen_body", run: targets::citizens::body, longest: 4_096 },
    Target { name: "bearer_token", run: targets::citizens::bearer_token, longest: 2_048 },
    Target { name: "record", run: targets::records::record, longest: 4_096 },
    Target { name: "headers", run: targets::records::headers, longest: 2_048 },
    Target { name: "apns_answer", run: targets::answers::apns, longest: 1_024 },
    Target { name: "fcm_answer", run: targets::answers::fcm, longest: 2_048 },
    Target { name: "smtp_replies", run: targets::answers::smtp, longest: 4_096 },
    Target { name: "ndjson", run: targets::rows::ndjson, longest: 4_096 },
    Target { name: "csv", run: targets::rows::csv, longest: 4_096 },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
