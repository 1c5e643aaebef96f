//! A bucket, by S3's protocol.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use tokio::io::AsyncReadExt;

use crate::http::Hyper;

/// Files longer than this go up in parts of this length: 8 MiB.
const PART: u64 = 8 * 1024 * 1024;

/// Why a bucket can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The address.
    #[error("`{0}` is no bucket's address: it must be s3://BUCKET or s3://BUCKET/PREFIX")]
    Address(String),
    /// The bucket, or the way to it.
    #[error("the bucket: {0}")]
    Store(#[from] object_store::Error),
    /// A file to upload.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// What is fetched.
    #[error("the object has {0} octets: too many to be fetched at once")]
    TooLong(u64),
    /// The thread.
    #[error("nobody serves the bucket any more")]
    Ended,
}

/// Where the bucket is. Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), or
/// from the machine's role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// `s3://BUCKET/PREFIX`.
    pub url: String,
    /// The server, if it isn't Amazon's: `https://minio.example.com`.
    pub endpoint: Option<String>,
    /// The region; else `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
}

/// An object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key, behind the bucket's prefix.
    pub key: String,
    /// Its octets.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
}

/// An S3-compatible bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Bucket {
    /// A bucket; nothing is requested yet. `tls`: whom connections to it trust.
    ///
    /// # Errors
    /// If the settings can't be right.
    pub fn new(settings: &BucketSettings, tls: Arc<rustls::ClientConfig>) -> Result<Self, BucketError> {
        let (store, prefix) = (builder(settings)?, prefix(&settings.url)?);
        // A bucket that is away is away for longer than a retry: the mover tries again later.
        let retry =
            RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
        let store = store.with_retry(retry).with_http_connector(Hyper(tls)).build()?;
        Ok(Self { store: store.into(), prefix })
    }

    fn key(&self, key: &str) -> Key {
        Key::from(format!("{}{key}", self.prefix))
    }

    /// Uploads a file, whole or not at all. Gives its octets.
    ///
    /// # Errors
    /// The file's or the bucket's.
    pub async fn put(&self, path: &Path, key: &str) -> Result<u64, BucketError> {
        let mut file = tokio::fs::File::open(path).await?;
        let length = file.metadata().await?.len();
        let key = self.key(key);
        if length <= PART {
            let mut all = Vec::new();
            file.read_to_end(&mut all).await?;
            let length = all.len() as u64;
            self.store.put(&key, PutPayload::from(all)).await?;
            return Ok(length);
        }
        let mut upload = self.store.put_multipart(&key).await?;
        match parts(&mut file, upload.as_mut()).await {
            Ok(length) => Ok(length),
            Err(error) => {
                // Parts that stay behind would be paid for.
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "an upload in parts could not be taken back");
                }
                Err(error)
            }
        }
    }

    /// Fetches an object; `None` if there is none.
    ///
    /// # Errors
    /// The bucket's, or if it has more octets than `most`.
    pub async fn get(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>, BucketError> {
        match self.store.get(&self.key(key)).await {
            Ok(found) if found.meta.size > most => Err(BucketError::TooLong(found.meta.size)),
            Ok(found) => Ok(Some(found.bytes().await?.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All objects whose keys are in this folder (`""`, or with a slash at its end) and whose names begin so.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn list(&self, folder: &str, begin: &str) -> Result<Vec<Object>, BucketError> {
        // The store lists whole folders; what names begin with is an offset that is left out itself, so one before it is asked for.
        let within = format!("{}{folder}", self.prefix);
        let folder_key = (!within.is_empty()).then(|| Key::from(within.trim_end_matches('/')));
        let offset = Key::from(format!("{within}{begin}"));
        let mut all = if begin.is_empty() {
            self.store.list(folder_key.as_ref())
        } else {
            let before = before(offset.as_ref());
            self.store.list_with_offset(folder_key.as_ref(), &Key::from(before))
        };
        let mut found = Vec::new();
        while let Some(meta) = all.try_next().await? {
            let Some(key) = meta.location.as_ref().strip_prefix(&self.prefix) else { continue };
            match key.strip_prefix(folder) {
                Some(name) if !begin.is_empty() && name > begin && !name.starts_with(begin) => break,
                Some(name) if name.starts_with(begin) => {
                    let written = SystemTime::from(meta.last_modified);
                    found.push(Object { key: key.to_owned(), bytes: meta.size, written });
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Deletes objects. One that isn't there is deleted too.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn delete(&self, keys: &[String]) -> Result<(), BucketError> {
        let keys: Vec<Key> = keys.iter().map(|key| self.key(key)).collect();
        let keys = futures_util::stream::iter(keys.into_iter().map(Ok)).boxed();
        self.store.delete_stream(keys).try_for_each(|_| async { Ok(()) }).await?;
        Ok(())
    }
}

/// A key that sorts before this one, and behind all that sort before it in practice.
fn before(key: &str) -> String {
    let mut before = key.to_owned();
    match before.pop() {
        Some(last) if last > '!' => {
            before.push(char::from_u32(u32::from(last) - 1).unwrap_or('!'));
            before.push('~');
            before
        }
        _ => before,
    }
}

async fn parts(file: &mut tokio::fs::File, upload: &mut dyn MultipartUpload) -> Result<u64, BucketError> {
    let mut length = 0;
    loop {
        let mut part = Vec::new();
        let read = file.take(PART).read_to_end(&mut part).await?;
        if read == 0 {
            break;
        }
        length += read as u64;
        upload.put_part(PutPayload::from(part)).await?;
    }
    upload.complete().await?;
    Ok(length)
}

fn builder(settings: &BucketSettings) -> Result<AmazonS3Builder, BucketError> {
    let wrong = || BucketError::Address(settings.url.clone());
    let (bucket, _) = split(&settings.url).ok_or_else(wrong)?;
    let mut store = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if let Some(region) = &settings.region {
        store = store.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        // Plain HTTP only where it was asked for by its name.
        store = store.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    Ok(store)
}

fn prefix(url: &str) -> Result<String, BucketError> {
    let (_, prefix) = split(url).ok_or_else(|| BucketError::Address(url.to_owned()))?;
    Ok(if prefix.is_empty() { String::new() } else { format!("{prefix}/") })
}

/// The bucket's name, and the prefix without slashes around it.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!bucket.is_empty() && bucket.chars().all(plain)).then_some((bucket, prefix.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_bucket_and_maybe_a_prefix() {
        assert_eq!(split("s3://calls"), Some(("calls", "")));
        assert_eq!(split("s3://calls/eu/1/"), Some(("calls", "eu/1")));
        for wrong in ["calls", "s3://", "https://calls", "s3:///x", "s3://a b"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
        assert!(*before("CA12") < *"CA12" && *before("CA12") > *"CA119");
    }
}
