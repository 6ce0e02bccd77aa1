//! Whether a drawn world was hard enough to prove anything.

use crate::history::Happened;
use crate::laws::Mistake;

/// The least that every world has, beside two instances of each stage.
const MESSAGES: usize = 50;
const CITIZENS: usize = 5;

/// What a world lacked. `addressed`: citizens to whom something was sent.
#[must_use]
pub fn lacks(happened: &Happened, messages: usize, addressed: usize) -> Vec<Mistake> {
    let crashes = happened.faults.get("crash").copied().unwrap_or(0);
    let in_force = |what: &'static str| {
        let choices = happened.choices.values().flatten();
        choices.filter(move |choice| choice.what == what && choice.in_force.is_some())
    };
    let opt_outs = in_force("change the profile").filter(|choice| !choice.stand.inbox).count();
    let again = in_force("register").filter(|choice| choice.stand.registration > Some(1)).count();
    let least = [
        ("messages", messages, MESSAGES),
        ("citizens", addressed, CITIZENS),
        ("crashes", usize::try_from(crashes).unwrap_or(usize::MAX), 1),
        ("opt-outs", opt_outs, 1),
        ("erasures", in_force("leave").count(), 1),
        ("registrations after an erasure", again, 1),
    ];
    let short = least.into_iter().filter(|(_, found, least)| found < least);
    short
        .map(|(what, found, least)| Mistake {
            law: "a world is hard enough",
            what: format!("{found} {what}, not {least}"),
        })
        .collect()
}
