//! What citizens do while messages are on their way, and when they are told that it is in force.
//!
//! The order of writes and waits is that of the citizen API: a transaction, the view must show it, and
//! then as long as facts may be old; only then 200.

use std::sync::Arc;
use std::time::Duration;

use consumers::directory::{EmbeddedDirectory, Register};
use consumers::keys::Keys;
use parking_lot::Mutex;
use runtime::embedded::{Call, EmbeddedLog, Fault};
use runtime::log::{AppendError, Outgoing, Writer};
use runtime::world::World;
use schemas::ids::{Pseudonym, Timestamp};
use schemas::topics::Channel;

use crate::history::History;
use crate::member::News;
use crate::people::{self, Pen, Person, SERVICES};
use crate::stand::Stand;
use crate::universe::Universe;

/// How old the facts of a send may be, as everywhere in this run.
pub const MAX_AGE: Duration = Duration::from_millis(250);
/// A view that has not shown a change by then is asked again.
const BARRIER: Duration = Duration::from_secs(5);

/// One thing that a citizen may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The inbox off; with it everything.
    OptOut,
    OptIn,
    /// One service may not write any more.
    Block(usize),
    Unblock(usize),
    NoPush,
    NoEmail,
    /// Every device gets another token.
    Renew,
    /// One-click, out of a mail.
    Unsubscribe(usize),
    /// Erasure.
    Leave,
    /// For the first time, or again.
    Register,
}

/// The door that citizens' applications talk to.
pub struct Door {
    pub universe: Universe,
    pub world: World,
    pub log: EmbeddedLog,
    pub writer: Mutex<Box<dyn Writer>>,
    pub view: Arc<EmbeddedDirectory>,
    pub keys: Keys,
    pub history: History,
    pub news: News,
    /// One write in so many has an unknown outcome; none at 0.
    pub write_fault: u64,
}

/// One citizen at that door.
pub struct Citizen {
    door: Arc<Door>,
    person: Person,
    stand: Stand,
    /// Of the newest registration, living or not.
    registration: u32,
    version: i64,
    renewals: u32,
}

impl Citizen {
    #[must_use]
    pub fn new(door: Arc<Door>, person: Person) -> Self {
        let (registration, version, renewals) = (0, 0, 0);
        Self { door, person, stand: Stand::default(), registration, version, renewals }
    }

    /// Does all of it, one after the other, each not before its time.
    pub async fn live(mut self, deeds: Vec<(Timestamp, Deed)>) {
        for (at, deed) in deeds {
            self.door.world.sleep_until(at).await;
            self.does(deed).await;
        }
    }

    async fn does(&mut self, deed: Deed) {
        let mut next = self.stand.clone();
        match deed {
            Deed::OptOut => next.inbox = false,
            Deed::OptIn => next.inbox = true,
            Deed::Block(nth) => drop(next.blocked.insert(SERVICES[nth].to_owned())),
            Deed::Unblock(nth) => drop(next.blocked.remove(SERVICES[nth])),
            Deed::NoPush => next.push = false,
            Deed::NoEmail => next.email = false,
            Deed::Renew => self.renew(&mut next),
            Deed::Unsubscribe(nth) => drop(next.unsubscribed.insert(SERVICES[nth].to_owned())),
            Deed::Leave => {
                let unsubscribed = next.unsubscribed;
                next = Stand { unsubscribed, ..Stand::default() };
            }
            Deed::Register => {}
        }
        let on_board = self.stand.registration.is_some();
        match deed {
            Deed::Register if on_board => {}
            Deed::Register => self.register().await,
            Deed::Unsubscribe(nth) => {
                let now = self.door.world.now();
                let record = people::unsubscribes(self.person.id, SERVICES[nth], now);
                self.settle("unsubscribe", next, vec![vec![record]]).await;
            }
            _ if !on_board || next == self.stand => {}
            Deed::Leave => self.leave(next).await,
            Deed::Block(nth) | Deed::Unblock(nth) => {
                let may = !next.blocked.contains(SERVICES[nth]);
                let record = self.pen().preference(SERVICES[nth], may);
                self.settle("change a preference", next, vec![vec![record]]).await;
            }
            Deed::Renew => {
                let records = self.pen().devices(&next);
                self.settle("renew its tokens", next, vec![records]).await;
            }
            Deed::OptOut | Deed::OptIn | Deed::NoPush | Deed::NoEmail => {
                self.version += 1;
                let record = self.pen().profile(&next, self.version);
                self.settle("change the profile", next, vec![vec![record]]).await;
            }
        }
    }

    fn renew(&mut self, next: &mut Stand) {
        self.renewals += 1;
        let devices =
            next.addresses.iter_mut().filter(|((channel, _), _)| *channel != Channel::Email);
        for ((_, installation), address) in devices {
            *address = format!(
                "{installation}-of-{}-{}-{}",
                self.person.id, self.registration, self.renewals
            );
        }
    }

    fn pen(&self) -> Pen {
        Pen::new(self.person, self.registration, &self.door.keys, self.door.world.now())
    }

    async fn register(&mut self) {
        self.registration += 1;
        self.version = 1;
        self.renewals = 0;
        let pen = self.pen();
        let mut next = pen.first_stand();
        next.unsubscribed.clone_from(&self.stand.unsubscribed);
        // Preferences first: nobody obeys them before the profile is there.
        let open = SERVICES.map(|service| pen.preference(service, true)).to_vec();
        let steps = vec![open, pen.registers(&next), pen.devices(&next)];
        self.settle("register", next, steps).await;
    }

    async fn leave(&mut self, next: Stand) {
        let id = self.person.id;
        let choice = self.door.history.choice(id, "leave", next.clone());
        self.stand = next;
        self.door.write(id, vec![people::leaves(id)]).await;
        let (known, stored) = loop {
            match self.door.view.dossier(id).await {
                Ok(known) => break known,
                Err(_) => self.door.pause().await,
            }
        };
        let now = self.door.world.now();
        let records = people::ends(id, self.registration, &known, &stored, now);
        self.door.write(id, records).await;
        self.door.in_force(id, choice).await;
    }

    /// Writes step by step, each shown by the view before the next, and waits until all is in force.
    async fn settle(&mut self, what: &'static str, next: Stand, steps: Vec<Vec<Outgoing>>) {
        let id = self.person.id;
        let choice = self.door.history.choice(id, what, next.clone());
        self.stand = next;
        for step in steps {
            self.door.write(id, step).await;
        }
        self.door.in_force(id, choice).await;
    }
}

impl Door {
    /// One transaction, repeated while its outcome is not known; back when the view shows it.
    async fn write(&self, citizen: Pseudonym, records: Vec<Outgoing>) {
        let positions = loop {
            if self.universe.once_in(self.write_fault) {
                let faults = [Fault::AppliedButUnknown, Fault::NotAppliedUnknown];
                let applied = self.universe.draw(2) == 0;
                self.history.fault("citizen's write unknown");
                self.log.inject_at(Call::Write, faults[usize::from(applied)]);
            }
            self.news.tell();
            let written = self.writer.lock().write(records.clone());
            match written {
                Ok(positions) => break positions,
                Err(AppendError::NotTaken(_) | AppendError::Unknown(_) | AppendError::Fenced) => {
                    self.pause().await
                }
            }
        };
        while let Ok(false) | Err(_) = {
            let until = self.world.now().plus(BARRIER);
            self.view.wait_applied(citizen, &positions, until).await
        } {
            self.pause().await;
        }
    }

    async fn pause(&self) {
        self.world.sleep_until(self.world.now().plus(Duration::from_millis(500))).await;
    }

    async fn in_force(&self, citizen: Pseudonym, choice: usize) {
        self.world.sleep_until(self.world.now().plus(MAX_AGE)).await;
        self.history.in_force(citizen, choice);
    }
}
