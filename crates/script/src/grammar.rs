//! What the caller may say next, as JSGF, made from the slots and intents.

use super::schema::{Script, Slot, SlotKind};
use super::words::{rule_count, rule_day, rule_time, tokens};

/// The grammar of a whole agent: slots in any order and number, intents, yes and no.
pub(super) fn grammar(script: &Script) -> String {
    let mut rules = Vec::new();
    let mut sentence = vec!["<yesno>".to_owned()];
    rules.push(
        "<yesno> = [yes | no] (yes | no | that's right | that's wrong) | (yes | no) [please | thanks | thank you] | that's all | that's it | correct | okay | sure"
            .to_owned(),
    );
    for (index, slot) in script.slots.iter().enumerate() {
        let name = format!("<slot{index}>");
        rules.push(format!("{name} = {}", slot_rule(slot, index)));
        rules.extend(helper_rules(slot, index));
        sentence.push(name);
    }
    let phrases: Vec<String> =
        script.intents.iter().flat_map(|intent| &intent.phrases).map(|phrase| plain(phrase)).collect();
    if !phrases.is_empty() {
        rules.push(format!("<intent> = {}", phrases.join(" | ")));
        sentence.push("<intent> [please]".to_owned());
    }
    let slots: Vec<String> = (0..script.slots.len()).map(|index| format!("<slot{index}>")).collect();
    let fillers: Vec<String> = script.fillers.iter().map(|filler| plain(filler)).collect();
    let filler = if fillers.is_empty() { String::new() } else { "[<filler>] ".to_owned() };
    if !fillers.is_empty() {
        rules.push(format!("<filler> = {}", fillers.join(" | ")));
    }
    let mut text = String::from("#JSGF V1.0;\ngrammar agent;\n");
    let public = if slots.is_empty() {
        sentence.join(" | ")
    } else {
        // Slots in any order, any number of them, with the odd "yes" before.
        let any = slots.join(" | ");
        let others: Vec<String> =
            sentence.iter().filter(|part| !part.starts_with("<slot")).cloned().collect();
        format!("{} | [yes | no] {filler}({any}) ([and] ({any}))* [please]", others.join(" | "))
    };
    text.push_str(&format!("public <sentence> = {public};\n"));
    for rule in rules {
        text.push_str(&rule);
        text.push_str(";\n");
    }
    text
}

fn slot_rule(slot: &Slot, index: usize) -> String {
    match slot.kind {
        SlotKind::Items => {
            format!(
                "<item{index}> | make (it | that) <count{index}> | (remove | cancel | no | without) [the] (<noun{index}> | <extra{index}>)"
            )
        }
        SlotKind::Choice => {
            let ways: Vec<String> = slot.values.iter().flatten().map(|way| plain(way)).collect();
            ways.join(" | ")
        }
        SlotKind::Number => {
            let ways: Vec<String> = slot
                .patterns
                .iter()
                .map(|pattern| plain_pattern(pattern, &format!("<count{index}>")))
                .collect();
            format!("<count{index}> | {}", ways.join(" | "))
        }
        SlotKind::Time => format!("[at] <time{index}> [instead of <time{index}>]"),
        SlotKind::Day => format!("[on] <day{index}>"),
    }
}

fn helper_rules(slot: &Slot, index: usize) -> Vec<String> {
    match slot.kind {
        SlotKind::Items => {
            let nouns: Vec<String> = slot
                .items
                .iter()
                .flat_map(|item| [&item.name, &item.plural].into_iter().chain(&item.synonyms))
                .map(|name| plain(name))
                .collect();
            let mut rules = vec![format!("<noun{index}> = {}", nouns.join(" | "))];
            let extras: Vec<String> =
                unique(slot.items.iter().flat_map(|item| &item.extras).map(|extra| plain(extra)));
            rules.push(format!(
                "<extra{index}> = {}",
                if extras.is_empty() { "<VOID>".to_owned() } else { extras.join(" | ") }
            ));
            let mut ways = Vec::new();
            for item in &slot.items {
                let names: Vec<String> = [&item.name, &item.plural]
                    .into_iter()
                    .chain(&item.synonyms)
                    .map(|name| plain(name))
                    .collect();
                let sizes = if item.sizes.is_empty() {
                    String::new()
                } else {
                    format!(
                        "[{}] ",
                        item.sizes.iter().map(|size| plain(size)).collect::<Vec<_>>().join(" | ")
                    )
                };
                let (before, after) = if item.extras.is_empty() {
                    (String::new(), String::new())
                } else {
                    let one = unique(item.extras.iter().map(|extra| plain(extra))).join(" | ");
                    (format!("[{one}] "), format!(" [with ({one}) [and ({one})]]"))
                };
                ways.push(format!("[a | <count{index}>] {sizes}{before}({}){after}", names.join(" | ")));
            }
            let sizes = unique(slot.items.iter().flat_map(|item| &item.sizes).map(|size| plain(size)));
            if !sizes.is_empty() {
                ways.push(sizes.join(" | "));
            }
            rules.push(format!("<item{index}> = {}", ways.join(" | ")));
            rules.push(format!("<count{index}> = {}", rule_count()));
            rules
        }
        SlotKind::Number => vec![format!("<count{index}> = {}", rule_count())],
        SlotKind::Time => vec![format!("<time{index}> = {}", rule_time())],
        SlotKind::Day => vec![format!("<day{index}> = {}", rule_day())],
        SlotKind::Choice => Vec::new(),
    }
}

fn plain(phrase: &str) -> String {
    tokens(phrase).join(" ")
}

fn plain_pattern(pattern: &str, number: &str) -> String {
    pattern.split("{n}").map(plain).collect::<Vec<_>>().join(&format!(" {number} ")).trim().to_owned()
}

fn unique(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = words.collect();
    all.sort();
    all.dedup();
    all
}
