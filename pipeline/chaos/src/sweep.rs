//! The sweep: every crash point of the pipeline is met once, and who met it is started again at once, told
//! of the next. Messages and citizens' refusals go on all the while; the checker judges what is left.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use runtime::crash::{Point, VARIABLE};

use crate::evidence::Fault;
use crate::parts::{Layout, Part, STAGES, Staffetta, now};
use crate::records::Channel;
use crate::scenario::eprint;

/// A point that nobody has come to by then is not on the way of any message that is sent.
const REACHED_WITHIN: Duration = Duration::from_secs(300);

/// A crash point, of one stage or channel where each has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    point: Point,
    whose: Option<&'static str>,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whose {
            Some(whose) => write!(f, "{}/{whose}", self.point.name()),
            None => f.write_str(self.point.name()),
        }
    }
}

/// All that a message can meet in this layout.
#[must_use]
pub fn stops(layout: Layout) -> Vec<Stop> {
    Point::ALL.into_iter().flat_map(|point| of(point, layout)).collect()
}

fn of(point: Point, layout: Layout) -> Vec<Stop> {
    let whole = || vec![Stop { point, whose: None }];
    let each = |names: &[&'static str]| {
        names.iter().map(|name| Stop { point, whose: Some(name) }).collect()
    };
    let only = |here: bool| if here { whole() } else { Vec::new() };
    match point {
        Point::Polled | Point::Handled | Point::Committing | Point::Committed => each(&STAGES),
        Point::SendBegins | Point::ProviderAnswered => each(&Channel::ALL.map(Channel::name)),
        Point::BatchDecided | Point::BatchWritten => only(layout == Layout::One),
        Point::TransactionBegun | Point::Produced | Point::OffsetsSent | Point::Flushed => {
            only(layout != Layout::One)
        }
        Point::HandedOver
        | Point::HintDue
        | Point::HintLeft
        | Point::ObjectDue
        | Point::ObjectPut
        | Point::Sealed
        | Point::Acknowledged
        | Point::ChangeWritten
        | Point::ChangeShown
        | Point::ViewApplied => whole(),
    }
}

impl Stop {
    /// Has the doors and the views on its way, or the stages.
    fn is_at_the_doors(self) -> bool {
        match self.point {
            Point::Sealed
            | Point::Acknowledged
            | Point::ChangeWritten
            | Point::ChangeShown
            | Point::ViewApplied => true,
            Point::Polled
            | Point::Handled
            | Point::Committing
            | Point::Committed
            | Point::TransactionBegun
            | Point::Produced
            | Point::OffsetsSent
            | Point::Flushed
            | Point::BatchDecided
            | Point::BatchWritten
            | Point::SendBegins
            | Point::ProviderAnswered
            | Point::HandedOver
            | Point::HintDue
            | Point::HintLeft
            | Point::ObjectDue
            | Point::ObjectPut => false,
        }
    }
}

/// Meets them all, one after the other; what happened, and when.
pub async fn perform(staffetta: &mut Staffetta, layout: Layout) -> Result<Vec<Fault>> {
    let (doors, stages): (Vec<Stop>, Vec<Stop>) =
        stops(layout).into_iter().partition(|stop| stop.is_at_the_doors());
    let mut faults = Vec::new();
    match layout {
        Layout::One => {
            let all = [stages, doors].concat();
            sweep(staffetta.part("run")?, &all, &Channel::ALL, &mut faults).await?;
        }
        Layout::Two => {
            sweep(staffetta.part("stages")?, &stages, &Channel::ALL, &mut faults).await?;
            // Whoever has only the doors sends nothing.
            sweep(staffetta.part("ingest")?, &doors, &[], &mut faults).await?;
        }
        Layout::Each => bail!("a sweep knows one process or two"),
    }
    Ok(faults)
}

/// One process meets its stops; in the end it runs as before.
async fn sweep(
    part: &mut Part,
    stops: &[Stop],
    repeats: &[Channel],
    faults: &mut Vec<Fault>,
) -> Result<()> {
    part.process.kill()?;
    let mut killed = now();
    for stop in stops {
        part.process.set(VARIABLE, &stop.to_string());
        part.process.start()?;
        let began = now();
        let Some(status) = part.process.ends(REACHED_WITHIN).await else {
            bail!("{stop} was not met within {REACHED_WITHIN:?}: nothing is proved of it");
        };
        // As a crash point ends a process, and nothing else of ours.
        if status.signal() != Some(Signal::SIGABRT as i32) {
            let words = part.process.last_words();
            bail!("{} ended before {stop} with {status}:\n{words}", part.process.name);
        }
        let (at, what) = (now(), format!("crash at {stop}"));
        eprint(&format!("{}: {what} {} ms after its start", faults.len() + 1, at - began));
        faults.push(Fault {
            what,
            // The life before it may have left something as well.
            from: killed,
            to: at,
            repeats: repeats.to_vec(),
            freezes: false,
            blinds: false,
        });
        killed = at;
    }
    part.process.set(VARIABLE, "");
    part.process.start()?;
    part.ready().await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_point_is_met_on_one_log_or_the_other_and_none_twice() {
        let both: Vec<Stop> = [Layout::One, Layout::Two].into_iter().flat_map(stops).collect();
        let met: BTreeSet<Point> = both.iter().map(|stop| stop.point).collect();
        assert_eq!(met, BTreeSet::from(Point::ALL));
        for layout in [Layout::One, Layout::Two] {
            let names: BTreeSet<String> = stops(layout).iter().map(Stop::to_string).collect();
            assert_eq!(names.len(), stops(layout).len());
            assert!(names.contains("committed/apns") && names.contains("object-put"));
        }
    }
}
