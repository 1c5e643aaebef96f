//! Says in plain words what is served, and what is open.

use std::net::SocketAddr;

use super::Shared;
use crate::console::say;

/// Says it when the server listens.
pub(super) fn announce(address: SocketAddr, shared: &Shared) {
    let http = if shared.tls.is_some() { "https" } else { "http" };
    say(&format!("offhook {} listens on {http}://{address}", env!("CARGO_PKG_VERSION")));
    say(&format!("agent    {}", shared.agent));
    match &shared.public_url {
        Some(url) => say(&format!("webhook  {}/voice", url.trim_end_matches('/'))),
        None => say(&format!(
            "webhook  {http}://{address}/voice (as your tunnel or proxy is reached, with https)"
        )),
    }
    match (&shared.api, shared.registry.rest("")) {
        (Some(_), Some(_)) => {
            say("api      calls can be placed, watched and reached into; see /openapi.json")
        }
        (Some(_), None) => say(
            "api      calls can be watched and reached into; without Twilio's credentials none are placed",
        ),
        (None, _) => {}
    }
    if shared.console {
        match &shared.own_token {
            Some(token) => say(&format!("console  {http}://{address}/console/#key={token}")),
            None => say(&format!("console  {http}://{address}/console/ (it asks for the API's token)")),
        }
    }
    if !shared.keys.load().is_empty() {
        say("signed   only requests that Twilio signed with your keys are served");
        return;
    }
    let reach = if address.ip().is_loopback() {
        "only programs on this machine, and what a tunnel lets in, can"
    } else {
        "EVERYBODY who reaches this address can"
    };
    say(&format!("open     no auth token is set, so signatures are not checked: {reach} place calls here."));
    say("         Set TWILIO_AUTH_TOKEN, or `auth_token_file` in offhook.toml, to serve only Twilio.");
}
