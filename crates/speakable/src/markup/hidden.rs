//! What isn't said however long it is: thoughts, code, comments.

use crate::cursor::{Cursor, Match, Said};

/// Openings and their ends. The end alone hides what was before it.
const TAGS: [(&str, &str); 14] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("[THINK]", "[/THINK]"),
    ("[thinking]", "[/thinking]"),
    ("◁think▷", "◁/think▷"),
    ("<tool_call>", "</tool_call>"),
    ("<function_calls>", "</function_calls>"),
    ("<|channel|>analysis", "<|channel|>final<|message|>"),
    ("<!--", "-->"),
    ("<script", "</script>"),
    ("<style", "</style>"),
];
/// So many of [`TAGS`] are thoughts.
const THOUGHTS: usize = 8;
/// Fences of these languages hold text, or nothing is known of them.
const TEXT: [&str; 6] = ["", "text", "txt", "markdown", "md", "plaintext"];

/// Whether something hidden begins here, or ended here that had begun before the text did.
pub(crate) fn opening(cursor: Cursor<'_>, begins_line: bool) -> Option<Match> {
    match cursor.peek()? {
        '<' | '[' | '◁' => {}
        '`' | '~' if begins_line => return fence(cursor),
        _ => return None,
    }
    for (at, (open, close)) in TAGS.iter().enumerate() {
        let mut ahead = cursor;
        if ahead.eat(open) {
            return Some(Match { length: open.len(), said: Said::Hidden(close) });
        }
        if at < THOUGHTS && ahead.eat(close) {
            return Some(Match { length: close.len(), said: Said::Retract });
        }
    }
    special(cursor)
}

/// `<|im_end|>` and other words of a model to its server.
fn special(mut cursor: Cursor<'_>) -> Option<Match> {
    cursor.eat("<|").then_some(())?;
    let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
    (!name.is_empty() && name.len() <= 40 && cursor.eat("|>")).then(|| Match::nothing(cursor.read()))
}

/// Three backticks begin code, which isn't said; where they hold text, only they are left out.
fn fence(mut cursor: Cursor<'_>) -> Option<Match> {
    let mark = cursor.eat_one(&["```", "~~~"])?;
    let language = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '_'));
    cursor.take_while(|c| c == ' ');
    if !cursor.peek().is_none_or(|c| c == '\n' || c == '\r') {
        return None;
    }
    let code = !TEXT.contains(&language.to_ascii_lowercase().as_str());
    let close = if mark == "```" { "\n```" } else { "\n~~~" };
    Some(Match { length: cursor.read(), said: if code { Said::Hidden(close) } else { Said::LineMark } })
}

/// Takes out of a stream of text what isn't said and may reach over sentences: thoughts, code, comments.
///
/// It stands before whatever cuts a reply into sentences; each sentence is cleaned on its own later.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    /// Text that may be an opening, or the part of an end.
    held: String,
    until: Option<&'static str>,
    begins_line: bool,
}

impl Default for Hidden {
    fn default() -> Self {
        Self { held: String::new(), until: None, begins_line: true }
    }
}

/// What came out of [`Hidden::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retracted(pub(crate) bool);

impl Hidden {
    /// Appends to `speech` what is no thought; empties it first when it turns out to have been one.
    pub(crate) fn push(&mut self, delta: &str, ended: bool, speech: &mut String) -> Retracted {
        self.held.push_str(delta);
        let held = std::mem::take(&mut self.held);
        let meter = crate::cursor::Meter::default();
        let (mut at, mut retracted) = (0, false);
        while at < held.len() {
            let rest = held.get(at..).unwrap_or_default();
            if let Some(close) = self.until {
                let Some(found) = rest.find(close) else {
                    use crate::cursor::Boundary as _;
                    let keep = if ended { 0 } else { close.len() - 1 };
                    at = at.max(held.floor_char_boundary_at(held.len().saturating_sub(keep)));
                    break;
                };
                at += found + close.len();
                (self.until, self.begins_line) = (None, close.starts_with('\n'));
                continue;
            }
            let special = |c: char| matches!(c, '<' | '[' | '◁' | '`' | '~');
            let plain = rest.find(special).unwrap_or(rest.len());
            let (text, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
            speech.push_str(text);
            at += plain;
            if let Some(line) = text.rsplit('\n').next().filter(|_| !text.is_empty()) {
                self.begins_line = (self.begins_line || text.contains('\n')) && line.trim().is_empty();
            }
            let Some(first) = after.chars().next() else { break };
            let found = opening(Cursor::new(&held, at, !ended, &meter), self.begins_line);
            if meter.take_starved() {
                break;
            }
            match found {
                Some(Match { length, said: Said::Hidden(close) }) => {
                    self.until = Some(close);
                    at += length;
                }
                Some(Match { length, said: Said::Retract }) => {
                    speech.clear();
                    (retracted, self.begins_line) = (true, true);
                    at += length;
                }
                _ => {
                    speech.push(first);
                    self.begins_line = false;
                    at += first.len_utf8();
                }
            }
        }
        held.get(at..).unwrap_or_default().clone_into(&mut self.held);
        Retracted(retracted)
    }
}
