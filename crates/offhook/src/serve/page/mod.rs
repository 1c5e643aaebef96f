//! The console's files: a page that is served as its sources are, without a build, from this program itself.
//!
//! No file says anything about a call: whoever opens the page still needs the API's token. The policy lets the page load
//! from here alone, and run nothing that is not one of these files.

#[cfg(test)]
mod vectors;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::get;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use std::sync::Arc;

use super::Edge;
use super::http::{Answer, text, typed};

/// Scripts, styles and connections from here alone; nothing inline, no frames, no forms that go elsewhere. `data:` is for the
/// icon's picture, `blob:` for what is saved or played again.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What else every file says.
const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=(), display-capture=()"),
];

/// A file.
struct File {
    name: &'static str,
    content_type: &'static str,
    octets: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal: $content_type:expr),* $(,)?) => {
        &[$(File { name: $name, content_type: $content_type, octets: include_bytes!(concat!("../../../console/", $name)) }),*]
    };
}

/// All of them; a test holds the list to the folder.
static FILES: &[File] = files! {
    "index.html": "text/html; charset=utf-8",
    "agents.js": SCRIPT,
    "api.js": SCRIPT,
    "dom.js": SCRIPT,
    "ear.js": SCRIPT,
    "failures.js": SCRIPT,
    "findings.js": SCRIPT,
    "history.js": SCRIPT,
    "icon.svg": "image/svg+xml",
    "kept.js": SCRIPT,
    "line.js": SCRIPT,
    "live.js": SCRIPT,
    "main.js": SCRIPT,
    "mulaw.js": SCRIPT,
    "panel.js": SCRIPT,
    "phone.js": SCRIPT,
    "player.js": SCRIPT,
    "playout.js": SCRIPT,
    "resample.js": SCRIPT,
    "rows.js": SCRIPT,
    "scenario.js": SCRIPT,
    "share.js": SCRIPT,
    "sound.js": SCRIPT,
    "story.js": SCRIPT,
    "style.css": "text/css; charset=utf-8",
    "talk.js": SCRIPT,
    "transcript.js": SCRIPT,
    "turns.js": SCRIPT,
    "twilio.js": SCRIPT,
    "verdicts.js": SCRIPT,
    "watch.js": SCRIPT,
    "wave.js": SCRIPT,
    "what_if.js": SCRIPT,
    "worklet.js": SCRIPT,
};

/// The page's addresses.
pub(super) fn router(is_on: bool) -> Router<Arc<Edge>> {
    if !is_on {
        return Router::new();
    }
    Router::new()
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/console/", get(|headers: HeaderMap| async move { answer("index.html", &headers) }))
        .route(
            "/console/{file}",
            get(|Path(name): Path<String>, State(_): State<Arc<Edge>>, headers: HeaderMap| async move {
                answer(&name, &headers)
            }),
        )
}

fn answer(name: &str, asked: &HeaderMap) -> Answer {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return text(StatusCode::NOT_FOUND, "the console has no such file\n");
    };
    let octets = file.current();
    let tag = tag(&octets);
    let unchanged = asked.get(IF_NONE_MATCH).is_some_and(|had| had.as_bytes() == tag.as_bytes());
    let mut answer = if unchanged {
        text(StatusCode::NOT_MODIFIED, "")
    } else {
        typed(StatusCode::OK, file.content_type, octets)
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

/// Another content has another tag.
fn tag(octets: &[u8]) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(octets);
    hash.iter().take(12).fold(String::from("\""), |tag, byte| tag + &format!("{byte:02x}")) + "\""
}

impl File {
    /// Its content; while it is worked on, as it is in the source's folder now.
    fn current(&self) -> Vec<u8> {
        if cfg!(debug_assertions) {
            let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/console")).join(self.name);
            if let Ok(octets) = std::fs::read(path) {
                return octets;
            }
        }
        self.octets.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_all_are_small() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/console")).unwrap();
        let mut found: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        served.sort_unstable();
        assert_eq!(found, served);
        let size: usize = FILES.iter().map(|file| file.octets.len()).sum();
        assert!(size < 300_000, "{size} octets");
    }

    #[test]
    fn nothing_inline_and_nothing_foreign_is_in_the_page() {
        assert!(!POLICY.contains("unsafe") && !POLICY.contains("http") && !POLICY.contains('*'));
        for file in FILES {
            let text = std::str::from_utf8(file.octets).unwrap();
            let own = text.replace("http://www.w3.org/", "").replace("http://127.0.0.1", "");
            assert!(
                !own.contains("src=\"http") && !own.contains("url(http") && !own.contains("from \"http"),
                "{}",
                file.name
            );
        }
        let page = std::str::from_utf8(FILES[0].octets).unwrap();
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains(" on"), "{page}");
        assert!(page.matches("<script").count() == page.matches("<script type=\"module\" src=").count());
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        let first = answer("index.html", &headers);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()["x-frame-options"], "DENY");
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(answer("index.html", &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer("../Cargo.toml", &headers).status(), StatusCode::NOT_FOUND);
    }
}
