//! Whole days of the store: which there are, and how one goes.
//!
//! Several processes may remove the same day at once: what is gone already counts as removed.

use std::io::ErrorKind;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;

use super::store::{Store, StoreError};

impl Store {
    /// The days of expiry that hold anything, in order. What lies in the store under other names is
    /// not ours to count.
    ///
    /// # Errors
    /// `Down`.
    pub async fn days(&self) -> Result<Vec<i64>, StoreError> {
        let listed = self.inner.list_with_delimiter(None).await.map_err(down)?;
        let name = |prefix: &Path| prefix.parts().next().map(|part| part.as_ref().to_owned());
        let names = listed.common_prefixes.iter().filter_map(name);
        // "+1" and "01" are read as numbers too, and are none that we write.
        let number = |text: String| text.parse().ok().filter(|day: &i64| day.to_string() == text);
        let mut days: Vec<i64> = names.filter_map(number).collect();
        days.sort_unstable();
        Ok(days)
    }

    /// Removes everything under a day; a folder with it.
    ///
    /// # Errors
    /// `Down`: some of it may still be there; call it again.
    pub async fn remove_day(&self, day: i64) -> Result<(), StoreError> {
        match &self.folder {
            // Also what a put that was cut short has left, which the store itself would not list.
            Some(folder) => {
                let folder = folder.join(day.to_string());
                let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder));
                match removed.await.map_err(|error| StoreError::Down(error.to_string()))? {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        Err(StoreError::Down(error.to_string()))
                    }
                    Ok(()) | Err(_) => Ok(()),
                }
            }
            None => self.remove_listed(day).await,
        }
    }

    async fn remove_listed(&self, day: i64) -> Result<(), StoreError> {
        let prefix = Path::from(day.to_string());
        let objects = self.inner.list(Some(&prefix)).map_ok(|object| object.location).boxed();
        let mut removed = self.inner.delete_stream(objects);
        while let Some(one) = removed.next().await {
            match one {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(down(error)),
            }
        }
        Ok(())
    }
}

fn down(error: object_store::Error) -> StoreError {
    StoreError::Down(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::super::store::{StoreConfig, VaultStore};
    use super::*;

    /// A local folder, and a store that knows objects only, as S3 does.
    fn both() -> (tempfile::TempDir, [Store; 2]) {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig { folder: folder.path().to_owned(), ..StoreConfig::default() };
        let local = Store::open(&config).expect("opened");
        (folder, [local, Store { inner: Arc::new(InMemory::new()), folder: None }])
    }

    async fn put(store: &Store, names: &[&str]) {
        for name in names {
            store.put(name, b"sealed".to_vec()).await.expect("written");
        }
    }

    #[tokio::test]
    async fn a_day_goes_whole_and_its_neighbours_stay() {
        let (_folder, stores) = both();
        for store in stores {
            put(&store, &["19/a", "19/b", "20/a", "190/a"]).await;
            assert_eq!(store.days().await, Ok(vec![19, 20, 190]));
            assert_eq!(store.remove_day(19).await, Ok(()));
            assert_eq!(store.days().await, Ok(vec![20, 190]));
            assert_eq!(store.get("19/b", 0, 6).await, Err(StoreError::Absent));
            assert_eq!(store.get("190/a", 0, 6).await.as_deref(), Ok(&b"sealed"[..]));
        }
    }

    #[tokio::test]
    async fn what_is_no_day_is_nobodys_day() {
        let (_folder, stores) = both();
        for store in stores {
            put(&store, &["rows/19/a", "+19/a", "019/a", "loose", "-1/a"]).await;
            assert_eq!(store.days().await, Ok(vec![-1]));
        }
    }

    #[tokio::test]
    async fn several_may_remove_a_day_at_once_and_once_more() {
        let (_folder, stores) = both();
        for store in stores {
            let names: Vec<_> = (0..200).map(|n| format!("19/{n}")).collect();
            put(&store, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
            let others = [0; 4].map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.remove_day(19).await })
            });
            for other in others {
                assert_eq!(other.await.expect("no panic"), Ok(()));
            }
            assert_eq!(store.days().await, Ok(Vec::new()));
            assert_eq!(store.remove_day(19).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_put_that_was_cut_short_leaves_nothing_behind_its_day() {
        let (folder, [local, _]) = both();
        put(&local, &["19/a"]).await;
        std::fs::write(folder.path().join("19/b#1"), b"half").expect("written");
        assert_eq!(local.remove_day(19).await, Ok(()));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
