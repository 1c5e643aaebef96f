//! Words that the caller is expected to say, told to a carrier that listens itself.

/// So many words, and so many characters of each, are told: as many as recognisers take.
const MOST: usize = 100;
const LONGEST: usize = 50;
/// What stands in a message for the words.
const PLACE: &str = "{hints}";

/// What the carrier knows of the words, and what it is yet to be told.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    /// The message that tells them; `None`: they aren't told.
    message: Option<String>,
    /// The words, by commas.
    words: String,
    told: bool,
}

impl Hints {
    pub(crate) fn new(message: Option<&str>) -> Self {
        Self { message: message.map(str::to_owned), words: String::new(), told: true }
    }

    /// These words are expected from now on. None leaves those that are known.
    pub(crate) fn expect(&mut self, words: &[String]) {
        if self.message.is_none() || words.is_empty() {
            return;
        }
        // What ends a list or a text can't be in a word of it.
        let fits = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | ',');
        let word = |word: &String| word.chars().filter(fits).take(LONGEST).collect::<String>();
        let words: Vec<String> =
            words.iter().take(MOST).map(word).filter(|word| !word.trim().is_empty()).collect();
        let words = words.join(",");
        if words != self.words {
            (self.words, self.told) = (words, false);
        }
    }

    /// Another session knows nothing of them.
    pub(crate) fn forgotten(&mut self) {
        self.told = self.words.is_empty();
    }

    /// The message to send, once.
    pub(crate) fn take(&mut self) -> Option<String> {
        let message = self.message.as_ref()?.replace(PLACE, &self.words);
        (!std::mem::replace(&mut self.told, true)).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_conversation::line::{Line, LineCommand};
    use offhook_conversation::{Output, Transport};
    use offhook_stage_api::{CallTime, Expectation};

    use super::*;
    use crate::{RelayInput, RelayLine, RelayWire};

    #[test]
    fn what_an_agent_expects_goes_out_and_again_after_a_lost_session() {
        let now = CallTime::ZERO;
        let mut line = RelayLine::new("en-US").with_hints(Some(r#"{"type":"hints","hints":"{hints}"}"#));
        let keyterms = vec!["pepperoni".to_owned(), "margherita".to_owned()];
        let expectation = Arc::new(Expectation { keyterms, ..Expectation::default() });
        let hints = |line: &mut RelayLine| {
            std::iter::from_fn(|| line.poll_output())
                .filter_map(|output| match output {
                    Output::Wire(RelayWire::Hints { message }) => Some(message),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        let told = [r#"{"type":"hints","hints":"pepperoni,margherita"}"#];
        line.command(LineCommand::Expect(Arc::clone(&expectation)), now);
        assert_eq!(hints(&mut line), told);
        line.command(LineCommand::Expect(expectation), now);
        assert!(hints(&mut line).is_empty());
        line.handle(RelayInput::Lost, now);
        line.handle(RelayInput::Back, now);
        assert_eq!(hints(&mut line), told);
    }

    #[test]
    fn words_are_told_once_and_to_each_session() {
        let mut hints = Hints::new(Some(r#"{"type":"hints","hints":"{hints}"}"#));
        assert_eq!(hints.take(), None);
        hints.expect(&["pepperoni".into(), "a \"large\", please".into(), "\n".into()]);
        let told = r#"{"type":"hints","hints":"pepperoni,a large please"}"#;
        assert_eq!(hints.take().as_deref(), Some(told));
        assert_eq!(hints.take(), None);
        hints.expect(&[]);
        hints.expect(&["pepperoni".into(), "a large please".into()]);
        assert_eq!(hints.take(), None);
        hints.forgotten();
        assert_eq!(hints.take().as_deref(), Some(told));
    }

    #[test]
    fn without_a_message_nothing_is_told() {
        let mut hints = Hints::new(None);
        hints.expect(&["pepperoni".into()]);
        hints.forgotten();
        assert_eq!(hints.take(), None);
    }
}
