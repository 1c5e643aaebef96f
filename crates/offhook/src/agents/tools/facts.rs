//! Facts of a call in a tool's address, headers and fixed arguments: `{call.from}` and the like, which no model can touch.

use std::borrow::Cow;

use anyhow::bail;
use form_urlencoded::byte_serialize;
use offhook_stages::CallInfo;

/// What may stand behind `call.`, besides `parameters.NAME`.
const NAMES: [&str; 7] = ["id", "from", "to", "direction", "agent", "tenant", "language"];

/// The fact of this name, as it stands between the braces; `None` if it is no fact.
fn fact<'a>(name: &str, call: &'a CallInfo) -> Option<Cow<'a, str>> {
    let facts = &call.facts;
    let known = match name.strip_prefix("call.")? {
        "id" => &*call.call,
        "from" => &facts.from,
        "to" => &facts.to,
        "direction" => &facts.direction,
        "agent" => &facts.agent,
        "tenant" => &facts.tenant,
        "language" => &*call.language,
        other => {
            let parameter = other.strip_prefix("parameters.")?;
            return Some(
                call.parameters.get(parameter).map_or(Cow::Borrowed(""), |text| text.as_str().into()),
            );
        }
    };
    Some(Cow::Borrowed(known))
}

/// Puts the facts in. What isn't one stays.
pub(super) fn filled(template: &str, call: &CallInfo) -> String {
    replaced(template, |name| fact(name, call).map(Cow::into_owned))
}

/// The same for an address: the facts are escaped, so that they can be part of a path or of a query.
pub(super) fn filled_address(template: &str, call: &CallInfo) -> String {
    replaced(template, |name| fact(name, call).map(|text| escaped(&text)))
}

/// Text as part of an address.
pub(super) fn escaped(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Replaces what stands in braces, where there is something to replace it by.
pub(super) fn replaced(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = from.find('}') else {
            rest = from;
            break;
        };
        let (place, after) = from.split_at(end + 1);
        let name = place.trim_start_matches('{').trim_end_matches('}');
        match value(name) {
            Some(text) => out.push_str(&text),
            None => out.push_str(place),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Refuses facts that there aren't: a typo would send an empty customer.
pub(super) fn check(template: &str) -> anyhow::Result<()> {
    let unknown = std::cell::RefCell::new(None);
    replaced(template, |name| {
        let fact = name.strip_prefix("call.")?;
        if !NAMES.contains(&fact) && !fact.starts_with("parameters.") {
            unknown.replace(Some(fact.to_owned()));
        }
        None
    });
    match unknown.into_inner() {
        Some(fact) => bail!("there is no `{{call.{fact}}}`: {}, parameters.NAME", NAMES.join(", ")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_stages::CallFacts;

    use super::*;

    #[test]
    fn facts_are_put_in_and_nothing_else() {
        let facts = CallFacts { from: "+1 415".into(), ..CallFacts::default() };
        let parameters = [("customer".to_owned(), "a/b".to_owned())];
        let call = CallInfo {
            call: "CA1".into(),
            facts: facts.into(),
            parameters: Arc::new(parameters.into()),
            ..CallInfo::default()
        };
        let template = "{call.id} {call.from} {call.parameters.customer}{call.parameters.none} {day} {";
        assert_eq!(filled(template, &call), "CA1 +1 415 a/b {day} {");
        assert_eq!(
            filled_address("/c/{call.parameters.customer}?f={call.from}", &call),
            "/c/a%2Fb?f=%2B1%20415"
        );
        assert!(check(template).is_ok());
        assert!(check("{call.form}").unwrap_err().to_string().contains("call.form"));
    }
}
