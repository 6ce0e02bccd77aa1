//! The slot groups of one view: opening, applying, asking.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use parking_lot::{Mutex, RwLock};
use redis::{FromRedisValue, Pipeline, Script, ScriptInvocation, Value, from_redis_value};
use runtime::log::{Position, TopicPartition};
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::topics::Topic;

use super::GROUPS;
use super::server::{RedisServer, Session};
use super::sweep::Sweeper;
use crate::view::ViewError;

/// A view that nobody has written to for so long is built anew, whether it is opened after it or was open
/// all the while: tombstones live a day, and what passed meanwhile may be gone.
const STALE: Duration = Duration::from_secs(12 * 3_600);

/// What `ready.lua` answers where the group was made ready on another server.
const FOREIGN: &str = "FOREIGN";

/// One change of one record, as `operations.lua` of its view understands it.
pub(crate) struct Operation {
    pub kind: &'static str,
    pub position: Position,
    pub id: String,
    pub field: Vec<u8>,
    pub extra: Vec<u8>,
    pub value: Vec<u8>,
}

/// Where an operation goes.
pub(crate) type Routed = (Option<usize>, Operation);

/// The slot groups of one view on one server.
pub(crate) struct Groups {
    server: Arc<RedisServer>,
    name: String,
    world: World,
    apply: Script,
    open: Script,
    mark: Script,
    restart: Script,
    sweeper: Arc<Sweeper>,
    /// What readers last saw of each group.
    epochs: RwLock<Vec<Option<String>>>,
    /// What the projector opened, and has applied since.
    opened: Mutex<Opened>,
}

#[derive(Default, Clone)]
struct Opened {
    epochs: Vec<String>,
    server: Arc<str>,
    next: BTreeMap<TopicPartition, u64>,
}

impl Groups {
    /// `name` begins every key: two views, or two installations, on one server need two.
    pub fn new(server: Arc<RedisServer>, name: &str, world: World, operations: &str) -> Self {
        let stale = format!("local stale_ms = {}", STALE.as_millis());
        let apply = format!("{operations}\n{stale}\n{}", include_str!("apply.lua"));
        Self {
            sweeper: Arc::new(Sweeper::new(Arc::clone(&server), name)),
            server,
            name: name.to_owned(),
            world,
            apply: Script::new(&apply),
            open: Script::new(include_str!("open.lua")),
            mark: Script::new(include_str!("mark.lua")),
            restart: Script::new(include_str!("restart.lua")),
            epochs: RwLock::new(vec![None; GROUPS]),
            opened: Mutex::default(),
        }
    }

    fn view(&self, group: usize) -> String {
        view(&self.name, group)
    }

    fn base(&self, group: usize, epoch: &str) -> String {
        base(&self.name, group, epoch)
    }

    /// See [`Projection::open`](crate::view::Projection::open).
    pub async fn open(&self) -> Result<Vec<(TopicPartition, u64)>, ViewError> {
        let mut found = self.open_all().await?;
        let now = self.world.now();
        let stale = |view: &HashMap<String, String>| {
            let at = view.get("at").and_then(|at| at.parse().ok()).map_or(now, Timestamp);
            now.since(at) > STALE
        };
        if found.1.iter().any(stale) {
            tracing::warn!(view = self.name, "untouched for too long: building it anew");
            self.restart().await?;
            found = self.open_all().await?;
        }
        let (session, views) = found;
        let next = least(&views);
        let epochs = views.iter().map(|it| it.get("epoch").cloned().unwrap_or_default()).collect();
        let positions = next.iter().map(|(at, next)| (*at, *next)).collect();
        *self.opened.lock() = Opened { epochs, server: session.server, next };
        Ok(positions)
    }

    async fn open_all(&self) -> Result<(Session, Vec<HashMap<String, String>>), ViewError> {
        let session = self.server.session().await?;
        let epoch = format!("{:016x}", self.world.random());
        let now = self.world.now().0;
        let calls = (0..GROUPS).map(|group| {
            let mut call = self.open.key(self.view(group));
            call.arg(&epoch).arg(&*session.server).arg(now);
            self.invoke(&session, call)
        });
        let views = try_join_all(calls).await?;
        Ok((session, views))
    }

    /// See [`Projection::apply`](crate::view::Projection::apply). An operation without a group goes to all of them.
    pub async fn apply(
        &self,
        moves: &BTreeMap<TopicPartition, u64>,
        operations: &[Routed],
    ) -> Result<(), ViewError> {
        let session = self.server.session().await?;
        let opened = self.opened.lock().clone();
        if opened.server != session.server {
            return Err(ViewError::NotReady);
        }
        let index: BTreeMap<_, _> = moves.keys().zip(0_usize..).collect();
        let calls = opened.epochs.iter().enumerate().map(|(group, epoch)| {
            let mut call = self.apply.key(self.view(group));
            call.arg(epoch).arg(&*opened.server).arg(self.world.now().0);
            call.arg(self.base(group, epoch)).arg(moves.len());
            for (at, next) in moves {
                let least = opened.next.get(at).copied().unwrap_or_default();
                call.arg(field(*at)).arg(least).arg(*next);
            }
            let mine = operations.iter().filter(|(home, _)| home.is_none_or(|it| it == group));
            for (_, it) in mine {
                let Position { at, offset } = it.position;
                call.arg(it.kind).arg(index.get(&at).copied().unwrap_or_default()).arg(offset);
                call.arg(&it.id).arg(&it.field).arg(&it.extra).arg(&it.value);
            }
            self.invoke::<String>(&session, call)
        });
        all_ok(&try_join_all(calls).await?)?;
        let mut opened = self.opened.lock();
        for (at, next) in moves {
            let known = opened.next.entry(*at).or_default();
            *known = (*next).max(*known);
        }
        Ok(())
    }

    /// See [`Projection::restart`](crate::view::Projection::restart).
    pub async fn restart(&self) -> Result<(), ViewError> {
        let session = self.server.session().await?;
        let epoch = format!("{:016x}", self.world.random());
        let now = self.world.now().0;
        let calls = (0..GROUPS).map(|group| {
            let mut call = self.restart.key(self.view(group));
            call.arg(&epoch).arg(&*session.server).arg(now);
            self.invoke::<String>(&session, call)
        });
        all_ok(&try_join_all(calls).await?)
    }

    /// See [`Projection::mark_ready`](crate::view::Projection::mark_ready); from then on former epochs
    /// are swept away, beside whatever the projector does.
    pub async fn mark_ready(&self) -> Result<(), ViewError> {
        let session = self.server.session().await?;
        let opened = self.opened.lock().clone();
        let calls = opened.epochs.iter().enumerate().map(|(group, epoch)| {
            let mut call = self.mark.key(self.view(group));
            call.arg(epoch).arg(&*opened.server);
            self.invoke::<String>(&session, call)
        });
        all_ok(&try_join_all(calls).await?)?;
        self.sweeper.start(&self.world);
        Ok(())
    }

    /// Asks one group in one atomic step together with its marker: what `ask` added is answered in its
    /// order, or not at all.
    pub async fn ask(
        &self,
        group: usize,
        ask: impl Fn(&mut Pipeline, &str),
    ) -> Result<Vec<Value>, ViewError> {
        // A new epoch, or a connection that broke since it was last used, costs a second try.
        let mut last = ViewError::NotReady;
        for _ in 0..2 {
            match self.try_ask(group, &ask).await {
                Ok(Some(values)) => return Ok(values),
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// `None`: the epoch was another one, and is known now.
    async fn try_ask(
        &self,
        group: usize,
        ask: &impl Fn(&mut Pipeline, &str),
    ) -> Result<Option<Vec<Value>>, ViewError> {
        let session = self.server.session().await?;
        let known = self.epochs.read()[group].clone();
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        let marker = ["epoch", "ready", "server"];
        pipeline.cmd("HMGET").arg(self.view(group)).arg(&marker);
        if let Some(epoch) = &known {
            ask(&mut pipeline, &self.base(group, epoch));
        }
        let mut connection = session.connection.clone();
        let mut values: Vec<Value> =
            self.told(&session, pipeline.query_async(&mut connection).await)?;
        let marker: Vec<Option<String>> = self.read(values.remove(0))?;
        let [epoch, ready, server] = marker.try_into().map_err(|_| unreadable())?;
        if epoch != known {
            self.epochs.write()[group] = epoch;
            return Ok(None);
        }
        if known.is_none() || ready.is_none() {
            return Err(ViewError::NotReady);
        }
        if server.as_deref() != Some(&*session.server) {
            self.server.doubt(&session);
            return Err(ViewError::NotReady);
        }
        Ok(Some(values))
    }

    /// Asks one group and writes in the same atomic step. `script` was made by [`asking`]; what it answers
    /// is there only where the group may be asked.
    pub async fn step(
        &self,
        group: usize,
        script: &Script,
        arguments: &[&[u8]],
    ) -> Result<Value, ViewError> {
        let session = self.server.session().await?;
        let mut call = script.key(self.view(group));
        for argument in arguments {
            call.arg(*argument);
        }
        call.arg(&*session.server).arg(format!("{{{}.{group}}}:", self.name));
        match self.invoke::<Option<Value>>(&session, call).await? {
            Some(Value::SimpleString(word)) if word == FOREIGN => {
                self.server.doubt(&session);
                Err(ViewError::NotReady)
            }
            Some(answer) => Ok(answer),
            None => Err(ViewError::NotReady),
        }
    }

    /// Waits until the group has applied `positions`; false if not by `until`. A view that cannot be
    /// asked meanwhile may still come to apply them.
    pub async fn wait_applied(
        &self,
        group: usize,
        positions: &[Position],
        until: Timestamp,
    ) -> Result<bool, ViewError> {
        let highest = highest(positions);
        let mut pause = Duration::from_millis(5);
        loop {
            let applied = self.has_applied(group, &highest).await;
            let now = self.world.now();
            match applied {
                Ok(true) => return Ok(true),
                Err(error) if now >= until => return Err(error),
                Ok(false) if now >= until => return Ok(false),
                Ok(false) | Err(_) => {}
            }
            self.world.sleep_until(now.plus(pause).min(until)).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    async fn has_applied(
        &self,
        group: usize,
        highest: &BTreeMap<TopicPartition, u64>,
    ) -> Result<bool, ViewError> {
        if highest.is_empty() {
            return Ok(true);
        }
        let fields: Vec<_> = highest.keys().map(|at| field(*at)).collect();
        let session = self.server.session().await?;
        let mut connection = session.connection.clone();
        let mut hmget = redis::cmd("HMGET");
        hmget.arg(self.view(group)).arg(fields);
        let next: Vec<Option<u64>> =
            self.told(&session, hmget.query_async(&mut connection).await)?;
        let mut each = next.iter().zip(highest.values());
        Ok(each.all(|(next, offset)| next.is_some_and(|next| next > *offset)))
    }

    /// One pipeline without marker or epoch, for what outlives both.
    pub async fn plain<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, ViewError> {
        let session = self.server.session().await?;
        let mut connection = session.connection.clone();
        self.told(&session, pipeline.query_async(&mut connection).await)
    }

    /// The prefix of a group's keys that belong to no epoch.
    pub fn lasting(&self, group: usize) -> String {
        format!("{{{}.{group}}}:", self.name)
    }

    pub fn read<T: FromRedisValue>(&self, value: Value) -> Result<T, ViewError> {
        from_redis_value(value).map_err(|_| unreadable())
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        session: &Session,
        call: ScriptInvocation<'_>,
    ) -> Result<T, ViewError> {
        let mut connection = session.connection.clone();
        self.told(session, call.invoke_async(&mut connection).await)
    }

    fn told<T>(
        &self,
        session: &Session,
        answer: Result<T, redis::RedisError>,
    ) -> Result<T, ViewError> {
        answer.map_err(|error| self.server.failed(session, &error))
    }
}

/// The hash that holds what a group knows of itself.
pub(super) fn view(name: &str, group: usize) -> String {
    format!("{{{name}.{group}}}:view")
}

/// The prefix of a group's keys of one epoch.
pub(super) fn base(name: &str, group: usize, epoch: &str) -> String {
    format!("{{{name}.{group}}}:{epoch}:")
}

/// A script for [`Groups::step`]: `text` finds the epoch's prefix in `base`.
pub(crate) fn asking(text: &str) -> Script {
    Script::new(&format!("{}\n{text}", include_str!("ready.lua")))
}

fn unreadable() -> ViewError {
    ViewError::Down("the view's keys are of another kind: another program writes there".to_owned())
}

fn all_ok(answers: &[String]) -> Result<(), ViewError> {
    if answers.iter().all(|answer| answer == "ok") { Ok(()) } else { Err(ViewError::NotReady) }
}

/// The positions that every group has reached; a partition that any group knows nothing of begins anew.
fn least(views: &[HashMap<String, String>]) -> BTreeMap<TopicPartition, u64> {
    let mut known: BTreeMap<TopicPartition, (usize, u64)> = BTreeMap::new();
    for (name, next) in views.iter().flatten() {
        let Some((at, next)) = position(name).zip(next.parse().ok()) else { continue };
        let entry = known.entry(at).or_insert((0, next));
        *entry = (entry.0 + 1, entry.1.min(next));
    }
    let everywhere = known.into_iter().filter(|(_, (groups, _))| *groups == views.len());
    everywhere.map(|(at, (_, next))| (at, next)).collect()
}

/// The last of `positions` in each partition: whoever has applied those has applied them all.
pub(super) fn highest(positions: &[Position]) -> BTreeMap<TopicPartition, u64> {
    let mut highest = BTreeMap::new();
    for Position { at, offset } in positions {
        let known = highest.entry(*at).or_insert(*offset);
        *known = (*offset).max(*known);
    }
    highest
}

fn field(at: TopicPartition) -> String {
    format!("o:{}/{}", at.topic, at.partition)
}

fn position(field: &str) -> Option<TopicPartition> {
    let (topic, partition) = field.strip_prefix("o:")?.split_once('/')?;
    Some(TopicPartition { topic: Topic::named(topic)?, partition: partition.parse().ok()? })
}
