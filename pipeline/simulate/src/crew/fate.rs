//! Working, dying, coming back.

use std::time::Duration;

use runtime::log::LogError;
use runtime::worker::Step;
use schemas::ids::Timestamp;

use super::{Crew, Place};
use crate::member::CRASH;
use crate::plan::Blow;
use crate::universe::Owner;

impl Crew {
    /// Lets a drawn share of the workers take a step, in a drawn order. True: something was done, or left
    /// for later.
    ///
    /// # Errors
    /// The log gives no seat.
    pub fn step_some(&mut self) -> Result<bool, LogError> {
        let mut moved = self.revive()?;
        moved |= self.step_zombies();
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        self.site.universe.shuffle(&mut order);
        for nth in order {
            if self.has_rest(&self.places[nth]) {
                continue;
            }
            moved = true;
            if !self.site.universe.once_in(4) {
                self.step(nth);
            }
        }
        Ok(moved)
    }

    fn has_rest(&self, place: &Place) -> bool {
        let Some(worker) = &place.worker else { return true };
        let now = self.site.universe.now();
        let due = worker.due_at().is_some_and(|due| due <= now);
        now < place.frozen_until || (place.idle_at == Some(self.site.news.count()) && !due)
    }

    fn step(&mut self, nth: usize) {
        let place = &mut self.places[nth];
        let Some(worker) = &mut place.worker else { return };
        match worker.step() {
            Ok(Step::Worked) | Err(LogError::Unavailable(_)) => place.idle_at = None,
            Ok(Step::Idle) => place.idle_at = Some(self.site.news.count()),
            Err(error) => {
                if error != LogError::Broken(CRASH.into()) {
                    self.site.history.broke(format!("{}: {error}", place.role.word()));
                }
                self.dies(nth, CRASH);
            }
        }
    }

    /// A worker ends where it stands, with everything that it began. The log learns of it at once or when
    /// the seat is taken again.
    fn dies(&mut self, nth: usize, why: &'static str) {
        let place = &mut self.places[nth];
        let Some(worker) = place.worker.take() else { return };
        let universe = &self.site.universe;
        universe.cut_off(place.owner);
        self.site.history.note(format!("{}-{} ends", place.role.word(), place.ordinal));
        self.site.history.loss(place.owner, why);
        place.back_at = Some(universe.now().plus(universe.millis(0, 20_000)));
        if universe.draw(2) == 0 {
            self.unburied.push((place.owner, worker));
        }
        self.site.news.tell();
    }

    fn revive(&mut self) -> Result<bool, LogError> {
        let now = self.site.universe.now();
        let mut moved = false;
        for nth in 0..self.places.len() {
            if self.places[nth].back_at.is_some_and(|at| at <= now) {
                self.begin_again(nth)?;
                moved = true;
            }
        }
        Ok(moved)
    }

    fn begin_again(&mut self, nth: usize) -> Result<(), LogError> {
        let (role, ordinal) = (self.places[nth].role, self.places[nth].ordinal);
        let before = self.places[nth].owner;
        let (owner, worker) = self.worker(role, ordinal)?;
        let place = &mut self.places[nth];
        (place.owner, place.worker) = (owner, Some(worker));
        (place.back_at, place.idle_at, place.frozen_until) = (None, None, Timestamp(0));
        self.unburied.retain(|(dead, _)| *dead != before);
        Ok(())
    }

    /// Whoever was taken for dead goes on until the log says that its seat is another's. What it began
    /// goes on for longer: nobody stops it.
    fn step_zombies(&mut self) -> bool {
        let now = self.site.universe.now();
        let mut alive = Vec::new();
        let mut moved = false;
        for (until, owner, mut zombie) in std::mem::take(&mut self.zombies) {
            if now < until {
                alive.push((until, owner, zombie));
                continue;
            }
            moved = true;
            match zombie.step() {
                Ok(_) | Err(LogError::Unavailable(_)) => alive.push((until, owner, zombie)),
                Err(LogError::Fenced | LogError::Broken(_)) => {
                    self.site.history.loss(owner, "fenced");
                }
            }
        }
        self.zombies = alive;
        moved
    }

    /// Lets `blow` fall; false: not now, nobody has anything to lose.
    ///
    /// # Errors
    /// The log gives no seat.
    pub fn meets(&mut self, blow: Blow) -> Result<bool, LogError> {
        match blow {
            Blow::CrashWorker => {
                let Some(nth) = self.somebody_busy() else { return Ok(false) };
                self.dies(nth, CRASH);
            }
            Blow::CrashProcess => {
                let Some(nth) = self.somebody_busy() else { return Ok(false) };
                let ordinal = self.places[nth].ordinal;
                let machine = self.machine();
                self.machines.insert(ordinal, machine);
                for other in 0..self.places.len() {
                    if self.places[other].ordinal == ordinal {
                        self.dies(other, CRASH);
                    }
                }
            }
            Blow::Freeze { lasts, taken } => {
                let Some(nth) = self.somebody_busy() else { return Ok(false) };
                self.freeze(nth, lasts, taken)?;
            }
            Blow::Scale => self.scale()?,
            Blow::Flush | Blow::Stall(_) | Blow::StoreDown(_) | Blow::Turn(..) => {}
        }
        Ok(true)
    }

    /// A machine stands still and does not know it; meanwhile its seat may be given to another.
    fn freeze(&mut self, nth: usize, lasts: Duration, taken: bool) -> Result<(), LogError> {
        let place = &mut self.places[nth];
        let until = self.site.universe.now().plus(lasts);
        self.site.universe.freeze(place.owner, until);
        if !taken {
            // What it waits for may be known before it wakes, and too late for its story.
            self.site.history.loss(place.owner, "frozen");
            place.frozen_until = until;
            return Ok(());
        }
        self.site.history.loss(place.owner, "frozen, its seat taken");
        let zombie = place.worker.take().map(|worker| (until, place.owner, worker));
        self.zombies.extend(zombie);
        // Whoever takes the seat has edges of its own.
        let (ordinal, machine) = (self.places[nth].ordinal, self.machine());
        self.machines.insert(ordinal, machine);
        self.begin_again(nth)
    }

    fn scale(&mut self) -> Result<(), LogError> {
        const THIRD: u32 = 2;
        self.site.history.fault("scaled");
        if self.machines.remove(&THIRD).is_none() {
            return self.arrive(THIRD);
        }
        let (leaving, staying): (Vec<Place>, Vec<Place>) =
            std::mem::take(&mut self.places).into_iter().partition(|it| it.ordinal == THIRD);
        self.places = staying;
        for mut place in leaving {
            // Its session ends, and with it the seat of whoever died there.
            self.unburied.retain(|(dead, _)| *dead != place.owner);
            // What cannot be finished at once comes again elsewhere.
            let _ = place.worker.as_mut().map(|worker| worker.leave());
            self.site.universe.cut_off(place.owner);
            self.site.history.loss(place.owner, "left");
        }
        self.site.news.tell();
        Ok(())
    }

    fn somebody_busy(&self) -> Option<usize> {
        let busy = |nth: &usize| {
            self.places[*nth].worker.as_ref().is_some_and(|worker| worker.in_hand() > 0)
        };
        let mut busy: Vec<usize> = (0..self.places.len()).filter(busy).collect();
        self.site.universe.shuffle(&mut busy);
        busy.first().copied()
    }

    /// A future of this life has ended: its worker has an answer to gather.
    pub fn answered(&mut self, owner: Owner) {
        if let Some(place) = self.places.iter_mut().find(|place| place.owner == owner) {
            place.idle_at = None;
        }
    }

    /// The next moment at which somebody has something to do by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let now = self.site.universe.now();
        let due = |place: &Place| match &place.worker {
            Some(_) if now < place.frozen_until => Some(place.frozen_until),
            Some(worker) => worker.due_at(),
            None => place.back_at,
        };
        let thawing = self.zombies.iter().map(|(until, ..)| *until);
        self.places.iter().filter_map(due).chain(thawing).min()
    }

    /// Records in anybody's hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.places.iter().filter_map(|place| place.worker.as_ref()).map(|it| it.in_hand()).sum()
    }
}
