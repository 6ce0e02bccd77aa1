//! Sweeps away what former epochs of a view have left, beside the projector: a walk over a large keyspace
//! takes minutes, and meanwhile the view follows the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::world::World;

use super::GROUPS;
use super::groups::{base, view};
use super::server::{RedisServer, Session};
use crate::view::ViewError;

/// Keys looked at in one go.
const SLICE: usize = 500;

/// After a failure: the rest of the sweep is in no hurry.
const AGAIN: Duration = Duration::from_secs(60);

/// One view's broom.
pub(super) struct Sweeper {
    server: Arc<RedisServer>,
    name: String,
    busy: AtomicBool,
}

impl Sweeper {
    pub fn new(server: Arc<RedisServer>, name: &str) -> Self {
        Self { server, name: name.to_owned(), busy: AtomicBool::new(false) }
    }

    /// Sweeps until nothing of a former epoch is left; does nothing where it is at it already.
    pub fn start(self: &Arc<Self>, world: &World) {
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (sweeper, world) = (Arc::clone(self), world.clone());
        world.clone().spawn(async move {
            loop {
                match sweeper.sweep().await {
                    Ok(false) => break,
                    // What was left behind meanwhile goes too.
                    Ok(true) => {}
                    Err(error) => {
                        tracing::warn!(view = sweeper.name, %error, "former keys stay for now");
                        world.sleep_until(world.now().plus(AGAIN)).await;
                    }
                }
            }
            sweeper.busy.store(false, Ordering::Release);
        });
    }

    /// One walk over the whole keyspace for all groups; whether there was anything to sweep.
    async fn sweep(&self) -> Result<bool, ViewError> {
        let session = self.server.session().await?;
        let former = self.former(&session).await?;
        if former.is_empty() {
            return Ok(false);
        }
        let bases: Vec<_> =
            former.iter().map(|(group, epoch)| base(&self.name, *group, epoch)).collect();
        let pattern = format!("{{{}.*", literal(&self.name));
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SLICE);
            let (next, mut keys): (u64, Vec<String>) = self.ask(&session, &scan).await?;
            keys.retain(|key| bases.iter().any(|base| key.starts_with(base)));
            if !keys.is_empty() {
                self.ask::<()>(&session, redis::cmd("UNLINK").arg(keys)).await?;
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        for (group, epoch) in former {
            let mut forget = redis::cmd("HDEL");
            forget.arg(view(&self.name, group)).arg(format!("old:{epoch}"));
            self.ask::<()>(&session, &forget).await?;
        }
        Ok(true)
    }

    /// Every group's former epochs.
    async fn former(&self, session: &Session) -> Result<Vec<(usize, String)>, ViewError> {
        let mut former = Vec::new();
        for group in 0..GROUPS {
            let mut keys = redis::cmd("HKEYS");
            let fields: Vec<String> = self.ask(session, keys.arg(view(&self.name, group))).await?;
            let epochs = fields.iter().filter_map(|field| field.strip_prefix("old:"));
            former.extend(epochs.map(|epoch| (group, epoch.to_owned())));
        }
        Ok(former)
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        session: &Session,
        command: &redis::Cmd,
    ) -> Result<T, ViewError> {
        let mut connection = session.connection.clone();
        let answer = command.query_async(&mut connection).await;
        answer.map_err(|error| self.server.failed(session, &error))
    }
}

/// `text` as a pattern that matches itself alone.
fn literal(text: &str) -> String {
    let mut literal = String::new();
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            literal.push('\\');
        }
        literal.push(letter);
    }
    literal
}
