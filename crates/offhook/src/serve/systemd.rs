//! What systemd is told and gives: readiness, the watchdog, a socket that is open already. Without systemd all of it is nothing.

use std::time::Duration;

use anyhow::Context;
use listenfd::ListenFd;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::net::TcpListener;

use super::overload::Overload;

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        tracing::debug!(%error, "systemd could not be notified");
    }
}

/// Calls are taken.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("answering calls")]);
}

/// The configuration is read again; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd could not be notified"),
    }
}

/// No new calls are taken.
pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Says that all is well for as long as every worker's clock goes on. Ends at once where nobody wants to know.
pub(super) async fn watchdog(overload: &Overload) {
    let Some(limit) = watchdog_enabled() else { return };
    let pause = (limit / 3).max(Duration::from_millis(100));
    let mut before = overload.beats();
    loop {
        tokio::time::sleep(pause).await;
        let now = overload.beats();
        if now.iter().zip(&before).all(|(now, before)| now != before) {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("a worker stands still");
        }
        before = now;
    }
}

/// The socket that systemd has opened for this process (`LISTEN_FDS`), if it has.
pub(super) fn inherited() -> anyhow::Result<Option<TcpListener>> {
    let listener =
        ListenFd::from_env().take_tcp_listener(0).context("the socket that was handed over can't be used")?;
    let Some(listener) = listener else { return Ok(None) };
    listener.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(listener)?))
}
