//! Shortening what lies far back.

use offhook_stage_api::{Party, Turn};

/// Turns at the end that are never touched: what was just said.
const KEPT: usize = 4;
/// Characters kept of what the caller said in a turn, and of what the agent said.
const CALLER_CHARS: usize = 160;
const AGENT_CHARS: usize = 60;

/// Makes the turns' text fit again, if it doesn't: the oldest become one turn of [`Party::Summary`], down to half the limit, so that
/// this is rare. A summary is rolled up again like the rest; the oldest words go first when even the summary is too long.
pub(super) fn roll_up(turns: &mut Vec<Turn>, most_chars: usize) {
    let chars = |turns: &[Turn]| turns.iter().map(|turn| turn.text.len()).sum::<usize>();
    if chars(turns) <= most_chars || turns.len() <= KEPT {
        return;
    }
    let mut rest = chars(turns);
    let mut count = 0;
    while count < turns.len() - KEPT && (rest > most_chars / 2 || count < 2) {
        rest -= turns.get(count).map_or(0, |turn| turn.text.len());
        count += 1;
    }
    let old: Vec<Turn> = turns.drain(..count).collect();
    let (began_ms, ended_ms) =
        (old.first().map_or(0, |turn| turn.began_ms), old.last().map_or(0, |turn| turn.ended_ms));
    let mut lines: Vec<String> = old.iter().map(line).collect();
    let room = most_chars / 4;
    while lines.len() > 1 && lines.iter().map(|line| line.len() + 1).sum::<usize>() > room {
        lines.remove(0);
    }
    let text = lines.join("\n");
    let summary = Turn { who: Party::Summary, text, interrupted: false, began_ms, ended_ms };
    turns.insert(0, summary);
}

fn line(turn: &Turn) -> String {
    match turn.who {
        Party::Summary => turn.text.clone(),
        Party::Caller => format!("Caller: {}", shortened(&turn.text, CALLER_CHARS)),
        Party::Agent => format!("Agent: {}", shortened(&turn.text, AGENT_CHARS)),
        Party::Tool => format!("Tool: {}", shortened(&turn.text, CALLER_CHARS)),
    }
}

/// At most so many characters, cut between words.
fn shortened(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    let cut: String = text.chars().take(most).collect();
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{words} …")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(who: Party, text: String, at: u64) -> Turn {
        Turn { who, text, interrupted: false, began_ms: at, ended_ms: at + 1 }
    }

    #[test]
    fn what_lies_far_back_gets_short_and_the_rest_stays() {
        let mut turns = Vec::new();
        for n in 0..200u64 {
            let who = if n % 2 == 0 { Party::Caller } else { Party::Agent };
            turns.push(turn(who, format!("turn {n} {}", "word ".repeat(30)), n * 10));
            let last = turns.last().cloned();
            roll_up(&mut turns, 4_000);
            assert!(turns.iter().map(|turn| turn.text.len()).sum::<usize>() <= 4_000 + 200);
            assert_eq!(turns.last().cloned(), last);
            assert!(turns.iter().skip(1).all(|turn| turn.who != Party::Summary));
            assert!(turns.windows(2).all(|pair| pair[0].ended_ms <= pair[1].began_ms));
        }
        assert_eq!(turns[0].who, Party::Summary);
        assert!(turns[0].text.contains("Caller: turn 1"), "{}", turns[0].text);
    }

    #[test]
    fn a_short_talk_is_left_alone() {
        let mut turns = vec![turn(Party::Caller, "a".repeat(9_000), 0), turn(Party::Agent, "b".into(), 5)];
        let before = turns.clone();
        roll_up(&mut turns, 100);
        assert_eq!(turns, before);
    }

    #[test]
    fn words_are_not_cut() {
        assert_eq!(shortened("one  two three", 40), "one two three");
        assert_eq!(shortened("one two three", 9), "one two …");
        assert_eq!(shortened("éééé éééé", 6), "éééé …");
    }
}
