//! What the system lets this process have.

use rustix::process::{Resource, getrlimit, nice, setrlimit};

/// Raises the soft limit of open files to the hard one, and gives what it is then. A call needs one for its socket, and
/// one for each provider's.
pub(super) fn raise_descriptors() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    if limit.current != before && setrlimit(Resource::Nofile, limit).is_err() {
        limit.current = before;
    }
    limit.current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The thread that calls this comes after the workers, where both want the processor: answers may wait, frames may not.
pub(super) fn give_way() {
    if let Err(error) = nice(5) {
        tracing::debug!(%error, "the priority of HTTP can't be lowered");
    }
}
