//! Recordings from the web. An application may name any address, so there are bounds on all of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;
use offhook_audio::SampleRate;
use offhook_stage_api::AudioChunk;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::decode::decode;
use crate::net::{Deadlines, Http};

/// A file may have so many octets.
pub(super) const LARGEST: usize = 10 * 1024 * 1024;
/// Fetching may take so long, from the first octet sent to the last one read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Another address is followed so often.
const MOST_REDIRECTS: usize = 3;
/// A recording is fetched again after so long.
const KEPT: Duration = Duration::from_secs(300);
/// So much is kept: 16 minutes of sound.
const ROOM: usize = 16 * 60 * 8_000;

/// Why a recording isn't played: Twilio's error number for the like, and what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// 11200: it can't be had. 12300: it is no sound that can be played. 11100: its address.
    pub code: u32,
    /// In words for whoever wrote the application.
    pub what: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Media can't be played, code: {}, {}", self.code, self.what)
    }
}

type Loading = Arc<OnceCell<Arc<[i16]>>>;

/// One that is kept, or being fetched.
struct Kept {
    since: Instant,
    loading: Loading,
}

static KEEP: LazyLock<Mutex<HashMap<String, Kept>>> = LazyLock::new(Mutex::default);
static HTTP: LazyLock<Http> = LazyLock::new(|| {
    Http::new("play", Deadlines { connect: Duration::from_secs(3), first: PATIENCE, gap: PATIENCE })
});

/// Fetches and decodes the recording at `url`, for an application whose server is at `server`. Calls that want the same one at the
/// same time fetch it once, and it is kept for five minutes.
///
/// # Errors
/// The address isn't one of the web, or of a network that isn't the application's own; nothing came in time; it is too large or too
/// long; it is neither WAV, MP3 nor μ-law.
pub async fn fetch(url: &str, server: &str) -> Result<AudioChunk, Refused> {
    let uri: Uri =
        url.parse().map_err(|error| Refused { code: 11_100, what: format!("`source`: {error}") })?;
    // Kept or not, it must be one that this application may have.
    may_have(&uri, server)?;
    let loading = loading(url);
    let loaded = loading.get_or_try_init(|| load(uri, server)).await;
    if loaded.is_err() {
        forget(url, &loading);
    }
    let samples = Arc::clone(loaded?);
    Ok(AudioChunk::Pcm { rate: SampleRate::HZ_8000, samples })
}

/// What is kept, or a place for it.
fn loading(url: &str) -> Loading {
    let mut keep = KEEP.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    keep.retain(|_, kept| now.duration_since(kept.since) < KEPT);
    let size = |kept: &Kept| kept.loading.get().map_or(0, |samples| samples.len());
    while keep.values().map(size).sum::<usize>() > ROOM {
        let oldest = keep.iter().min_by_key(|(_, kept)| kept.since).map(|(url, _)| url.clone());
        let Some(oldest) = oldest else { break };
        keep.remove(&oldest);
    }
    let place = || Kept { since: now, loading: Loading::default() };
    Arc::clone(&keep.entry(url.to_owned()).or_insert_with(place).loading)
}

/// What failed is tried anew the next time.
fn forget(url: &str, failed: &Loading) {
    let mut keep = KEEP.lock().unwrap_or_else(PoisonError::into_inner);
    if keep.get(url).is_some_and(|kept| Arc::ptr_eq(&kept.loading, failed)) {
        keep.remove(url);
    }
}

async fn load(uri: Uri, server: &str) -> Result<Arc<[i16]>, Refused> {
    let late = || Refused { code: 11_200, what: format!("it was not there within {} s", PATIENCE.as_secs()) };
    let (octets, kind, path) =
        timeout(PATIENCE, follow(uri, server)).await.unwrap_or_else(|_| Err(late()))?;
    // What a file of a stranger's breaks, breaks only this.
    let decoded = tokio::task::spawn_blocking(move || decode(&octets, kind.as_deref(), &path)).await;
    let decoded = decoded.unwrap_or_else(|_broke| Err("it can't be decoded".to_owned()));
    decoded.map(Into::into).map_err(|what| Refused { code: 12_300, what })
}

type Fetched = (Bytes, Option<String>, String);

async fn follow(mut uri: Uri, server: &str) -> Result<Fetched, Refused> {
    let failed = |what: String| Refused { code: 11_200, what };
    for _ in 0..=MOST_REDIRECTS {
        may_have(&uri, server)?;
        let request = Request::get(uri.clone()).header(header::ACCEPT, "audio/*").body(Full::default());
        let request = request.map_err(|error| failed(error.to_string()))?;
        let mut answer = HTTP.exchange(request).await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        if status.is_redirection() {
            let to =
                answer.header("location").ok_or_else(|| failed(format!("{status} without an address")))?;
            let joined = offhook_twilio::webhook::join_url(&uri.to_string(), to);
            uri = joined.parse().map_err(|error| failed(format!("another address: {error}")))?;
            continue;
        }
        if !status.is_success() {
            return Err(failed(format!("its server answered with {status}")));
        }
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        let too_large = || failed(format!("it is larger than {} MB", LARGEST / 1024 / 1024));
        if length.is_some_and(|length| length > LARGEST) {
            return Err(too_large());
        }
        let kind = answer.header("content-type").map(str::to_owned);
        let octets = answer.bytes(LARGEST).await.map_err(|error| match error {
            offhook_stages::StageError::Garbage { .. } => too_large(),
            error => failed(error.to_string()),
        })?;
        return Ok((octets, kind, uri.path().to_owned()));
    }
    Err(failed(format!("it leads to another address more than {MOST_REDIRECTS} times")))
}

/// An address of the web; one of a network that isn't public only where the application's own server is there. A name is taken as it
/// is: whoever writes the application is the operator, or a tenant's.
fn may_have(uri: &Uri, server: &str) -> Result<(), Refused> {
    let refused = |what: String| Err(Refused { code: 11_100, what });
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return refused("`source` must be an http:// or https:// address".to_owned());
    }
    let Some(host) = uri.host().map(bare) else { return refused("`source` names no server".to_owned()) };
    let own = server.parse::<Uri>().ok().and_then(|server| server.host().map(|host| bare(host).to_owned()));
    if is_inside(host) && !own.is_some_and(|own| own == host || (is_here(&own) && is_here(host))) {
        return refused(format!("{host} is in a network that the application's server isn't in"));
    }
    Ok(())
}

fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// This machine.
fn is_here(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Not the web: this machine, private networks, and where clouds keep their secrets.
fn is_inside(host: &str) -> bool {
    is_here(host)
        || match host.parse() {
            Ok(IpAddr::V4(ip)) => inside_v4(ip),
            Ok(IpAddr::V6(ip)) => {
                let first = ip.segments()[0];
                let local = (first & 0xFE00) == 0xFC00 || (first & 0xFFC0) == 0xFE80;
                local || ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(inside_v4)
            }
            // Numbers in other forms than four decimals are read as addresses by some.
            Err(_) => {
                host.bytes().all(|c| c.is_ascii_hexdigit() || matches!(c, b'.' | b'x' | b'X')) && {
                    host.starts_with(|c: char| c.is_ascii_digit())
                }
            }
        }
}

const fn inside_v4(ip: std::net::Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || (a == 100 && b & 0xC0 == 64)
        || a >= 224
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_reaches_nothing_that_it_is_not_next_to() {
        let web = "wss://app.example.com/relay";
        let may = |url: &str, server: &str| may_have(&url.parse().unwrap(), server).is_ok();
        assert!(may("https://cdn.example.com/hold.mp3", web) && may("http://8.8.8.8/hold.mp3", web));
        for url in [
            "http://127.0.0.1/x",
            "http://localhost:9/x",
            "http://10.1.2.3/x",
            "http://169.254.169.254/latest/meta-data",
            "http://100.100.100.200/x",
            "http://[::1]/x",
            "http://[fd00::1]/x",
            "http://[::ffff:10.0.0.1]/x",
            "http://2130706433/x",
            "http://0x7f.1/x",
            "ftp://cdn.example.com/x",
        ] {
            assert!(!may(url, web), "{url}");
        }
        // A program on this machine may have what is on this machine.
        assert!(may("http://localhost:8000/hold.wav", "ws://127.0.0.1:8081/relay"));
        assert!(!may("http://10.1.2.3/hold.wav", "ws://127.0.0.1:8081/relay"));
        assert!(may("http://10.1.2.3/hold.wav", "wss://10.1.2.3/relay"));
    }
}
