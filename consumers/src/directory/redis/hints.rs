//! Hints in Redis: one key each, of no epoch, for a view that is rebuilt has nothing to say of them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::try_join_all;

use super::RedisDirectory;
use crate::directory::hints::{Hint, HintId, Hints, KEPT};
use crate::view::{GROUPS, ViewError};

impl RedisDirectory {
    fn hint(&self, id: &HintId) -> (usize, String) {
        let group = usize::from(id.message.to_bytes()[15]) % GROUPS;
        let base = self.groups.lasting(group);
        (group, format!("{base}hint:{}:{}:{}", id.message, id.send_id, id.until.0))
    }
}

#[async_trait]
impl Hints for RedisDirectory {
    async fn leave(&self, id: &HintId, hint: &Hint) -> Result<(), ViewError> {
        let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(self.hint(id).1).arg(hint.write()).arg("PX").arg(kept).ignore();
        self.groups.plain(&pipe).await
    }

    async fn found(&self, ids: &[HintId]) -> Result<Vec<Option<Hint>>, ViewError> {
        let mut by_group: BTreeMap<usize, Vec<(usize, String)>> = BTreeMap::new();
        for (at, id) in ids.iter().enumerate() {
            let (group, key) = self.hint(id);
            by_group.entry(group).or_default().push((at, key));
        }
        let answers = by_group.values().map(|members| async move {
            let mut pipe = redis::pipe();
            for (_, key) in members {
                pipe.cmd("GET").arg(key);
            }
            let texts: Vec<Option<String>> = self.groups.plain(&pipe).await?;
            Ok::<_, ViewError>((members, texts))
        });
        let mut found = vec![None; ids.len()];
        for (members, texts) in try_join_all(answers).await? {
            for ((at, _), text) in members.iter().zip(texts) {
                found[*at] = text.as_deref().and_then(Hint::read);
            }
        }
        Ok(found)
    }
}
