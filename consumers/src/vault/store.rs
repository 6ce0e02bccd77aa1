//! The object store: one immutable object a batch, under its day of expiry.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, PutPayload};
use serde::{Deserialize, Serialize};

/// Where payloads lie.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Local folder; used unless `s3_bucket` is set.
    pub folder: PathBuf,
    /// Bucket of an S3-compatible store; empty for the local folder.
    pub s3_bucket: String,
    /// Its endpoint, for stores that are not AWS; empty for AWS.
    pub s3_endpoint: String,
    pub s3_region: String,
    /// Access key id; the secret comes from the environment variable `AWS_SECRET_ACCESS_KEY`.
    pub s3_access_key_id: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data/objects"),
            s3_bucket: String::new(),
            s3_endpoint: String::new(),
            s3_region: "eu-south-1".to_owned(),
            s3_access_key_id: String::new(),
        }
    }
}

/// Why the store did not serve. Ours: tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the object store does not answer: {0}")]
    Down(String),
    #[error("no such object, or not of that length")]
    Absent,
}

/// What vault and readers of stored messages need of a store.
#[async_trait]
pub trait VaultStore: Send + Sync {
    /// Writes one immutable object, durably.
    ///
    /// # Errors
    /// `Down`.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// Reads `length` bytes at `offset`.
    ///
    /// # Errors
    /// `Down`, `Absent`.
    async fn get(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, StoreError>;
}

/// The `object_store` crate's stores behind [`VaultStore`].
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<dyn ObjectStore>,
    /// Files are synced by hand: the local store renames but does not sync.
    pub(super) folder: Option<PathBuf>,
}

impl Store {
    /// Opens the store that `config` names.
    ///
    /// # Errors
    /// `Down` with what to repair: a folder that cannot be made, settings that S3 refuses.
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let down = |why: String| StoreError::Down(why);
        if config.s3_bucket.is_empty() {
            std::fs::create_dir_all(&config.folder)
                .map_err(|e| down(format!("store.folder cannot be made: {e}")))?;
            let inner = LocalFileSystem::new_with_prefix(&config.folder)
                .map_err(|e| down(e.to_string()))?;
            return Ok(Self { inner: Arc::new(inner), folder: Some(config.folder.clone()) });
        }
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&config.s3_bucket)
            .with_region(&config.s3_region)
            .with_access_key_id(&config.s3_access_key_id);
        if !config.s3_endpoint.is_empty() {
            builder = builder
                .with_endpoint(&config.s3_endpoint)
                .with_allow_http(config.s3_endpoint.starts_with("http://"));
        }
        let inner = builder.build().map_err(|e| down(e.to_string()))?;
        Ok(Self { inner: Arc::new(inner), folder: None })
    }

    async fn sync(&self, name: &str) -> std::io::Result<()> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let file = folder.join(name);
        tokio::task::spawn_blocking(move || {
            let sync = |path: &std::path::Path| std::fs::File::open(path)?.sync_all();
            sync(&file)?;
            // The day's folder, and the entry of a new day in the folder of all days.
            file.parent().map_or(Ok(()), sync)?;
            sync(&folder)
        })
        .await?
    }
}

#[async_trait]
impl VaultStore for Store {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let payload = PutPayload::from(bytes);
        let put = self.inner.put(&Path::from(name), payload).await;
        put.map_err(|e| StoreError::Down(e.to_string()))?;
        self.sync(name).await.map_err(|e| StoreError::Down(e.to_string()))
    }

    async fn get(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let read = self.inner.get_range(&Path::from(name), offset..offset + length).await;
        match read {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(object_store::Error::NotFound { .. }) => Err(StoreError::Absent),
            Err(error) => Err(StoreError::Down(error.to_string())),
        }
    }
}
