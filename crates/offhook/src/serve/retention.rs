//! Calls that are old enough are deleted: documents, tapes, sound.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use offhook_store::{Store, Subject};

use crate::calls::CallRegistry;
use crate::tenants::Scope;

/// Looked for so often.
const EVERY: Duration = Duration::from_secs(600);

/// Starts the thread; it ends with the server.
pub(super) fn start(registry: &Arc<CallRegistry>, store: &Store, keep_for: Duration) -> anyhow::Result<()> {
    let (registry, store) = (Arc::downgrade(registry), store.clone());
    let thread = std::thread::Builder::new().name("retention".into());
    thread.spawn(move || run(&registry, &store, keep_for)).context("the thread that deletes old calls")?;
    Ok(())
}

fn run(registry: &Weak<CallRegistry>, store: &Store, keep_for: Duration) {
    while let Some(calls) = registry.upgrade() {
        let bound = SystemTime::now().checked_sub(keep_for).unwrap_or(UNIX_EPOCH);
        let bound = bound.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let before = Subject::Before(i64::try_from(bound).unwrap_or(0), None);
        match store.delete(before).wait() {
            Ok(mut receipt) if !receipt.ids.is_empty() => {
                calls.forget(&mut receipt, &Scope::Operator);
                let (count, failures) = (receipt.ids.len(), receipt.failures.len());
                tracing::info!(calls = count, objects = receipt.objects, failures, "old calls were deleted");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old calls could not be deleted; it is tried again"),
        }
        drop(calls);
        std::thread::sleep(EVERY);
    }
}
