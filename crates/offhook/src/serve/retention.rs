//! Calls that are old enough, or too many for the disk, are deleted: documents, tapes, sound.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use offhook_store::{Receipt, Store, Subject};

use crate::calls::CallRegistry;
use crate::config::Config;
use crate::keeper::Keeper;
use crate::tenants::{Scope, TenantTable};

/// Looked for so often.
const EVERY: Duration = Duration::from_secs(60);
/// Only each so manieth time a bucket is looked at: each ten minutes.
const BUCKET_EVERY: u64 = 10;
/// A clock that steps forward by more than this makes everything old at once: for as long nothing is deleted by its age, so that it
/// can be set right.
const STEP: Duration = Duration::from_secs(3_600);

/// How much is kept, of the server's own calls or of a tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Whose; the server's own rule is for all tenants that have none.
    tenant: Option<String>,
    /// So long after a call began.
    keep_for: Option<Duration>,
    /// So many octets of calls' files in the folder, and in its place in the bucket.
    keep_bytes: Option<u64>,
}

/// The server's rule, and the tenants'.
pub(super) fn rules(config: &Config) -> Vec<Rule> {
    let own = Rule { tenant: None, keep_for: config.store.keep_for, keep_bytes: config.store.keep_bytes };
    let tenant = |table: &TenantTable| Rule {
        tenant: Some(table.name.clone()),
        keep_for: table.keep_for,
        keep_bytes: table.keep_bytes,
    };
    let all = std::iter::once(own).chain(config.tenants.iter().map(tenant));
    all.filter(|rule| rule.keep_for.is_some() || rule.keep_bytes.is_some()).collect()
}

/// Starts the thread; it ends with the server.
pub(super) fn start(registry: &Arc<CallRegistry>, store: &Store, rules: Vec<Rule>) -> anyhow::Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let (registry, store) = (Arc::downgrade(registry), store.clone());
    let thread = std::thread::Builder::new().name("retention".into());
    thread.spawn(move || run(&registry, &store, &rules)).context("the thread that deletes old calls")?;
    Ok(())
}

fn run(registry: &Weak<CallRegistry>, store: &Store, rules: &[Rule]) {
    let (mut looked, mut waits) = ((SystemTime::now(), Instant::now()), None);
    for round in 0u64.. {
        let Some(calls) = registry.upgrade() else { return };
        let now = (SystemTime::now(), Instant::now());
        if stepped(looked, now) {
            tracing::error!(
                "the clock went forward by hours at once: for an hour nothing is deleted by its age"
            );
            waits = Some(now.1 + STEP);
        }
        looked = now;
        if waits.is_none_or(|until| now.1 >= until) {
            by_age(rules).into_iter().for_each(|subject| delete(&calls, store, subject));
        }
        // A bucket is listed whole, which costs requests.
        by_size(&calls, store, rules, round % BUCKET_EVERY == 0);
        drop(calls);
        std::thread::sleep(EVERY);
    }
}

/// The calls that are too old. A tenant's own rule comes before the server's, be it stricter or not.
fn by_age(rules: &[Rule]) -> Vec<Subject> {
    let own: Vec<String> =
        rules.iter().filter(|rule| rule.keep_for.is_some()).filter_map(|rule| rule.tenant.clone()).collect();
    let subject = |rule: &Rule| {
        let bound = too_old(SystemTime::now(), rule.keep_for?);
        Some(match &rule.tenant {
            Some(_) => Subject::Before(bound, rule.tenant.clone()),
            None => Subject::BeforeBut(bound, own.clone()),
        })
    };
    rules.iter().filter_map(subject).collect()
}

fn by_size(calls: &CallRegistry, store: &Store, rules: &[Rule], with_bucket: bool) {
    for rule in rules {
        let keeper = calls.keeper(rule.tenant.as_deref().unwrap_or_default());
        let (Some(most), Some(folder)) = (rule.keep_bytes, keeper.map(Keeper::folder)) else { continue };
        let mut files = files(folder);
        if let Some(objects) = calls.objects() {
            if !with_bucket {
                continue;
            }
            match objects.list(folder) {
                Ok(all) => all
                    .into_iter()
                    .for_each(|object| add(&mut files, &object.key, object.bytes, object.written)),
                Err(error) => {
                    tracing::warn!(%error, "the bucket can't be listed: what is too much is deleted later");
                    continue;
                }
            }
        }
        let in_progress = |sid: &str| calls.call(sid).is_some_and(|live| !live.is_over());
        for sid in too_many(files, most, in_progress) {
            delete(calls, store, Subject::Call(sid, None));
        }
    }
}

fn delete(calls: &CallRegistry, store: &Store, subject: Subject) {
    match store.delete(subject).wait() {
        Ok(receipt) if !receipt.ids.is_empty() => {
            let receipt = futures_executor::block_on(calls.erase(receipt, &Scope::Operator, None));
            let Receipt { ids, objects, object_bytes, failures, .. } = receipt;
            let (count, failures) = (ids.len(), failures.len());
            tracing::info!(calls = count, objects, bytes = object_bytes, failures, "old calls were deleted");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "old calls could not be deleted; it is tried again"),
    }
}

/// Whether the clock on the wall went forward much further than time did.
fn stepped(before: (SystemTime, Instant), now: (SystemTime, Instant)) -> bool {
    let passed = now.1.saturating_duration_since(before.1);
    now.0.duration_since(before.0).is_ok_and(|shown| shown > passed + STEP)
}

/// What began before this is too old, in milliseconds since 1970.
fn too_old(now: SystemTime, keep_for: Duration) -> i64 {
    let bound = now.checked_sub(keep_for).unwrap_or(UNIX_EPOCH);
    let bound = bound.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(bound).unwrap_or(0)
}

/// A call's files: their octets, and when one of them was last written.
type Files = BTreeMap<String, (u64, SystemTime)>;

fn files(folder: &Path) -> Files {
    let mut all = Files::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if let (Some(name), Ok(about)) = (name.to_str(), entry.metadata())
            && about.is_file()
        {
            add(&mut all, name, about.len(), about.modified().unwrap_or(UNIX_EPOCH));
        }
    }
    all
}

fn add(all: &mut Files, name: &str, octets: u64, at: SystemTime) {
    let stem = name.split(['.', '_']).next().unwrap_or_default();
    // The database, the spool and what else is there are no calls.
    if stem.starts_with("CA") {
        let (bytes, written) = all.entry(stem.to_owned()).or_insert((0, UNIX_EPOCH));
        *bytes += octets;
        *written = at.max(*written);
    }
}

/// The calls that have to go, the oldest first, so that no more than `most` octets are left. Those in progress stay.
fn too_many(files: Files, most: u64, in_progress: impl Fn(&str) -> bool) -> Vec<String> {
    let mut total: u64 = files.values().map(|(bytes, _)| bytes).sum();
    let mut by_age: Vec<_> = files.into_iter().map(|(sid, (bytes, written))| (written, bytes, sid)).collect();
    by_age.sort_unstable();
    let mut gone = Vec::new();
    for (_, bytes, sid) in by_age {
        if total <= most {
            break;
        }
        if !in_progress(&sid) {
            total -= bytes;
            gone.push(sid);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_forward_deletes_nothing_at_once() {
        let (wall, steady) = (SystemTime::now(), Instant::now());
        let later = |wall_s: u64, steady_s: u64| {
            (wall + Duration::from_secs(wall_s), steady + Duration::from_secs(steady_s))
        };
        assert!(!stepped((wall, steady), later(60, 60)));
        assert!(!stepped((wall, steady), later(60 + 3_000, 60)), "summer time and the like are no step");
        assert!(stepped((wall, steady), later(86_400, 60)));
        assert!(!stepped((wall, steady), (wall - Duration::from_secs(86_400), steady)));
    }

    #[test]
    fn a_tenants_own_rule_comes_before_the_servers() {
        let text = "record = \"calls\"\n[store]\nkeep_for = \"30days\"\n[[tenant]]\nname = \"blue\"\nkeep_for = \"90days\"\n\
                    [[tenant]]\nname = \"red\"\nkeep_bytes = 1000\n[[tenant]]\nname = \"green\"\n";
        let rules = rules(&Config::parse(text).unwrap());
        assert_eq!(rules.len(), 3);
        let subjects = by_age(&rules);
        assert!(matches!(&subjects[0], Subject::BeforeBut(_, but) if *but == ["blue"]), "{subjects:?}");
        assert!(matches!(&subjects[1], Subject::Before(_, Some(tenant)) if tenant == "blue"), "{subjects:?}");
        assert_eq!(subjects.len(), 2);
    }

    #[test]
    fn the_oldest_calls_go_until_the_rest_fits() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize, age_s: u64| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![0; bytes]).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age_s)).unwrap();
        };
        write("CA1.json", 100, 50);
        write("CA1_2.tape.jsonl", 300, 400);
        write("CA2.wav", 400, 300);
        write("CA3.json", 500, 600);
        write("CA4.json", 10, 10);
        write("calls.db", 100_000, 1_000);
        let gone = |most, busy: &str| too_many(files(folder.path()), most, |sid| sid == busy);
        assert_eq!(gone(1_310, ""), Vec::<String>::new());
        assert_eq!(gone(1_309, ""), ["CA3"]);
        assert_eq!(gone(500, ""), ["CA3", "CA2"], "a call is as old as its newest file");
        assert_eq!(gone(1_309, "CA3"), ["CA2"], "calls in progress stay");
        assert_eq!(gone(0, "").len(), 4);
    }
}
