//! `[objects]`: calls' files in an S3-compatible bucket, once the calls are over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use offhook_objects::{Bucket, BucketSettings, Known, Objects, Settings};
use offhook_providers::net::tls_config;
use offhook_store::Receipt;
use serde::Deserialize;

use crate::calls::CallRegistry;
use crate::config::Config;
use crate::keeper::names;

/// `[objects]`: where the files of calls that are over go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ObjectsConfig {
    /// An S3-compatible bucket: `s3://BUCKET` or `s3://BUCKET/PREFIX`. Default: none, files stay in the folder `record`. Credentials come
    /// from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or from the machine's role.
    pub(crate) url: Option<String>,
    /// The bucket's server, if it isn't Amazon's, such as `https://minio.example.com`.
    pub(crate) endpoint: Option<String>,
    /// Its region. Default: `AWS_REGION`, else `us-east-1`.
    pub(crate) region: Option<String>,
    /// Octets that may wait in the folder while the bucket is away; beyond, the oldest files are deleted and counted. Default 10 GB.
    pub(crate) spool_bytes: u64,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self { url: None, endpoint: None, region: None, spool_bytes: 10_000_000_000 }
    }
}

impl ObjectsConfig {
    fn bucket(&self) -> anyhow::Result<Option<Bucket>> {
        let Some(url) = self.url.clone() else { return Ok(None) };
        let settings = BucketSettings { url, endpoint: self.endpoint.clone(), region: self.region.clone() };
        Bucket::new(&settings, tls_config()).map(Some).context("[objects]")
    }
}

/// The folders that calls are written in, each with its place in the bucket.
fn places(config: &Config) -> Vec<(PathBuf, String)> {
    let record = config.record.as_deref();
    let own = record.map(|folder| (folder.to_owned(), String::new()));
    let tenant = |table: &crate::tenants::TenantTable| {
        Some((table.folder(record)?, format!("tenants/{}/", table.name)))
    };
    own.into_iter().chain(config.tenants.iter().filter_map(tenant)).collect()
}

/// Starts the thread that uploads, if there is a bucket.
pub(crate) fn start(config: &Config, registry: &Arc<CallRegistry>) -> anyhow::Result<Option<Objects>> {
    let Some(bucket) = config.objects.bucket()? else { return Ok(None) };
    let folders = places(config);
    let journal = folders.first().map(|(folder, _)| folder.join("bucket-deletions"));
    let journal =
        journal.context("`url` in [objects] needs `record`, the folder that calls are written in")?;
    let calls = Arc::downgrade(registry);
    let ask = move |sid: &str| match calls.upgrade().and_then(|calls| calls.call(sid)) {
        Some(live) if live.is_over() => Known::Over,
        Some(_) => Known::InProgress,
        None => Known::Unknown,
    };
    let settings = Settings { folders, spool_bytes: config.objects.spool_bytes, journal };
    Ok(Some(Objects::start(bucket, settings, Box::new(ask)).context("the thread of the bucket")?))
}

/// Deletes the objects of deleted calls.
pub(crate) async fn delete(objects: &Objects, folders: &[&Path], receipt: &mut Receipt) {
    let deleted = objects.delete(folders, &names(receipt)).await;
    receipt.objects += deleted.objects;
    receipt.object_bytes += deleted.bytes;
    receipt.failures.extend(deleted.failures);
}

/// The same without a server, which may be running meanwhile.
pub(crate) fn delete_now(config: &Config, receipt: &mut Receipt) -> anyhow::Result<()> {
    let Some(bucket) = config.objects.bucket()? else { return Ok(()) };
    let folders = places(config);
    let Some((first, _)) = folders.first() else { return Ok(()) };
    // What can't be deleted now is noted for whoever asks again.
    let journal = first.join("bucket-deletions.by-hand");
    let settings = Settings { folders: folders.clone(), spool_bytes: u64::MAX, journal };
    let objects = Objects::start(bucket, settings, Box::new(|_| Known::InProgress))?;
    let folders: Vec<&Path> = folders.iter().map(|(folder, _)| folder.as_path()).collect();
    futures_executor::block_on(delete(&objects, &folders, receipt));
    Ok(())
}

/// Reads an object by its address, `s3://BUCKET/KEY`: its server and region come from the environment, as for Amazon's own tools.
pub(crate) fn read(address: &str, most: u64) -> anyhow::Result<Vec<u8>> {
    let (bucket, key) = address.rsplit_once('/').context("an object's address is s3://BUCKET/KEY")?;
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").or_else(|_| std::env::var("AWS_ENDPOINT_URL")).ok();
    let settings = BucketSettings { url: bucket.to_owned(), endpoint, region: None };
    let bucket = Bucket::new(&settings, tls_config())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(bucket.get(key, most))?.with_context(|| format!("there is no {address}"))
}

/// What was counted, for `/metrics`: name, help, whether it only grows, value.
pub(crate) fn counted(objects: &Objects) -> [(&'static str, &'static str, bool, u64); 6] {
    let all = objects.counters();
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    [
        ("objects_uploaded", "Files of calls that were uploaded to the bucket", true, of(&all.uploaded)),
        ("objects_uploaded_bytes", "Their octets", true, of(&all.uploaded_bytes)),
        (
            "objects_failures",
            "Uploads and deletions in the bucket that are tried again",
            true,
            of(&all.failed),
        ),
        (
            "objects_dropped",
            "Files that were deleted because too many waited for the bucket",
            true,
            of(&all.dropped),
        ),
        ("objects_deleted", "Objects that were deleted from the bucket", true, of(&all.deleted)),
        ("objects_waiting_bytes", "Octets of files that wait for the bucket", false, of(&all.waiting_bytes)),
    ]
}
