//! What a process of this machine costs, by Linux's `/proc` (proc(5)).

use tokio::time::Instant;

use super::Window;
use super::figures::ServerCost;

/// Clock ticks of `/proc/PID/stat` in a second: 100 on every Linux that we know (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;
/// Pages of `/proc/PID/statm`.
const PAGE: u64 = 4_096;

/// Watches a process over the window; `None` if there is none to watch.
pub(crate) async fn watch(process: Option<u32>, window: Window) -> Option<ServerCost> {
    let process = process?;
    tokio::time::sleep_until(window.from).await;
    let (before, since) = (ticks(process)?, Instant::now());
    tokio::time::sleep_until(window.until).await;
    let used = ticks(process)?.saturating_sub(before) as f64 / TICKS;
    let cores = used / since.elapsed().as_secs_f64();
    Some(ServerCost { cores, resident: resident(process)? })
}

/// Time on a processor, own and the kernel's for it.
fn ticks(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name in brackets, which may hold spaces.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory in bytes.
#[must_use]
pub fn resident(process: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_seen() {
        let own = std::process::id();
        assert!(ticks(own).is_some());
        assert!(resident(own).unwrap() > 100_000);
        assert_eq!(ticks(u32::MAX), None);
    }
}
