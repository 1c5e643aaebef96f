//! The spellings of a URL: ports and slashes get lost on the way.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// The URL as a voice webhook's signature has it, according to "Security": without user and password, without the port where
/// it is https, and without the fragment, which is never sent. Twilio's libraries accept other spellings too, because this has
/// varied.
#[must_use]
pub fn signed_url(url: &str) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let Some(parts) = Parts::of(url) else { return url.to_owned() };
    let port = if parts.scheme == "https" { "" } else { parts.port };
    format!("{}://{}{port}{}", parts.scheme, parts.host, parts.rest)
}

/// A URL's parts, as they are written.
struct Parts<'a> {
    scheme: &'a str,
    /// With its `@`.
    user: &'a str,
    host: &'a str,
    /// With its `:`.
    port: &'a str,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        // A colon within brackets belongs to an IPv6 address.
        let name = host.rfind(']').map_or(0, |at| at + 1);
        let port = host.get(name..).and_then(|rest| rest.find(':')).map_or(host.len(), |at| name + at);
        let (host, port) = host.split_at(port);
        Some(Self { scheme, user, host, port, rest })
    }
}

/// As Twilio may have spelt a URL: with and without port and user, as it is written, as URL parsers write it, and with its
/// query taken apart and put together again. Twilio's libraries try the same. The likely ones come first; each is made when it
/// is asked for.
pub(super) struct Spellings<'a> {
    scheme: &'a str,
    users: Vec<&'a str>,
    ports: Vec<&'a str>,
    hosts: Vec<String>,
    rests: Vec<String>,
    next: usize,
}

fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    all.into_iter().fold(Vec::new(), |mut distinct, one| {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
        distinct
    })
}

impl<'a> Spellings<'a> {
    pub(super) fn of(url: &'a str) -> Self {
        let Some(Parts { scheme, user, host, port, rest }) = Parts::of(url) else {
            let (none, as_it_is) = (vec![String::new()], vec![url.to_owned()]);
            return Self {
                scheme: "",
                users: vec![""],
                ports: vec![""],
                hosts: none,
                rests: as_it_is,
                next: 0,
            };
        };
        let usual = if scheme == "https" || scheme == "wss" { ":443" } else { ":80" };
        let parsed = normalised(rest);
        // An address without a path is asked for as `/`.
        let bare = rest.strip_prefix('/').filter(|rest| rest.is_empty() || rest.starts_with('?'));
        let (together, parsed_together) = (put_together(rest), put_together(&parsed));
        let rests = [Some(rest.to_owned()), Some(parsed), Some(together), Some(parsed_together)];
        Self {
            scheme,
            users: distinct([user, ""]),
            ports: distinct([port, "", usual]),
            hosts: distinct([host.to_owned(), host.to_ascii_lowercase()]),
            rests: distinct(rests.into_iter().chain([bare.map(str::to_owned)]).flatten()),
            next: 0,
        }
    }
}

impl Iterator for Spellings<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let number = self.next;
        self.next += 1;
        let (host, number) = (self.hosts.get(number % self.hosts.len())?, number / self.hosts.len());
        let (rest, number) = (self.rests.get(number % self.rests.len())?, number / self.rests.len());
        let (port, number) = (self.ports.get(number % self.ports.len())?, number / self.ports.len());
        let user = self.users.get(number)?;
        let separator = if self.scheme.is_empty() { "" } else { "://" };
        Some(format!("{}{separator}{user}{host}{port}{rest}", self.scheme))
    }
}

/// Path and query as URL parsers write them (URL Standard, 4.1 and 1.3).
fn normalised(rest: &str) -> String {
    const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
    const PATH: &AsciiSet = &QUERY.remove(b'\'').add(b'?').add(b'^').add(b'`').add(b'{').add(b'}');
    let rest = rest.split('#').next().unwrap_or(rest);
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let path = if path.is_empty() { "/" } else { path };
    let path = utf8_percent_encode(path, PATH).to_string();
    match query {
        Some(query) => format!("{path}?{}", utf8_percent_encode(query, QUERY)),
        None => path,
    }
}

/// With its query's pairs decoded and encoded anew, as Node's `querystring` does it.
fn put_together(rest: &str) -> String {
    const VALUE: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')');
    let Some((path, query)) = rest.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return rest.to_owned();
    };
    let pairs: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(&name, VALUE), utf8_percent_encode(&value, VALUE))
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}
