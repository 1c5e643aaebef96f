//! Whatever a server says, nothing panics, and spans stay spans.

use offhook_audio::SamplePos;
use offhook_stage_api::SttEvent;
use offhook_stages::CallInfo;
use proptest::prelude::*;

use crate::stt::dialect::{CallState, Dialect};
use crate::stt::{assemblyai, deepgram, flux, vosk};

/// Messages of all the protocols, with numbers and texts that may be anything.
fn message() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("0".to_owned()),
        Just("-1".to_owned()),
        Just("1e300".to_owned()),
        Just("null".to_owned()),
        (0_u32..100_000).prop_map(|n| n.to_string()),
        (0.0_f64..20.0).prop_map(|n| n.to_string()),
    ];
    let kind = prop_oneof![
        Just("Results"),
        Just("UtteranceEnd"),
        Just("TurnInfo"),
        Just("Turn"),
        Just("Begin"),
        Just("Connected"),
        Just("Error"),
        Just("ConfigureFailure"),
        Just("ConfigureSuccess"),
        Just("Else"),
    ];
    let event = prop_oneof![
        Just("Update"),
        Just("StartOfTurn"),
        Just("EagerEndOfTurn"),
        Just("TurnResumed"),
        Just("EndOfTurn")
    ];
    (kind, event, any::<[bool; 3]>(), "[a-z ]{0,8}", number.clone(), number.clone(), number).prop_map(
        |(kind, event, [a, b, c], text, x, y, z)| {
            format!(
                r#"{{"type":"{kind}","event":"{event}","start":{x},"duration":{y},"is_final":{a},"speech_final":{b},
                "from_finalize":{c},"turn_index":{z},"turn_order":{z},"end_of_turn":{a},"audio_window_start":{x},
                "audio_window_end":{y},"transcript":"{text}","text":"{text}","error_code":{x},"last_word_end":{y},
                "words":[{{"word":"{text}","text":"{text}","start":{x},"end":{y}}}],
                "result":[{{"word":"{text}","start":{x},"end":{y},"conf":0.5}}],
                "channel":{{"alternatives":[{{"transcript":"{text}","words":[{{"word":"{text}","start":{x},"end":{y}}}]}}]}}}}"#
            )
        },
    )
}

fn dialects() -> Vec<Box<dyn Dialect>> {
    let call = CallInfo::default();
    vec![
        Box::new(deepgram::Line::new(Default::default(), None, &call)),
        Box::new(flux::Line::new(Default::default(), None)),
        Box::new(assemblyai::Line::new(Default::default(), None, "en-US")),
        Box::new(vosk::Line::new(Default::default(), "en-US")),
    ]
}

proptest! {
    #[test]
    fn nothing_that_is_said_does_harm(
        messages in proptest::collection::vec(prop_oneof![message(), "\\PC{0,40}"], 1..20),
        paused in any::<bool>(),
    ) {
        for mut dialect in dialects() {
            let mut state = CallState::default();
            let _no_model = dialect.open();
            state.line.sent(SamplePos(800), 8_000);
            state.turns.speech_started(1_000);
            if paused {
                state.turns.speech_paused(1_000, 7_000);
                let _asked = dialect.force();
            }
            for message in &messages {
                let _what_it_means = dialect.on_text(message, &mut state);
            }
            for event in state.turns.take_events() {
                if let SttEvent::Partial(told) | SttEvent::Final(told) = event {
                    prop_assert!(told.from < told.until, "{:?}", told);
                }
            }
        }
    }
}

/// Words come through messages whose other members are written otherwise than documented.
#[test]
fn words_come_through_members_in_other_shapes() {
    let messages = [
        r#"{"type":"Results","start":0.1,"duration":0.5,"is_final":true,"speech_final":null,"from_finalize":null,"metadata":null,
            "channel":{"alternatives":[{"transcript":"hello","confidence":"high","words":null},null]}}"#,
        r#"{"type":"TurnInfo","event":"EndOfTurn","turn_index":0,"audio_window_start":0.0,"audio_window_end":0.6,
            "transcript":"hello","words":[{"word":"hello","start":"now"}],"trigger":null}"#,
        r#"{"type":"Turn","turn_order":0,"end_of_turn":true,"transcript":"hello","words":[{"text":"hello","start":null,"end":null}]}"#,
        r#"{"result":[{"word":"hello","start":0.1,"end":0.5,"conf":null}],"text":"hello","spk":[null]}"#,
    ];
    for (mut dialect, message) in dialects().into_iter().zip(messages) {
        let mut state = CallState::default();
        let _no_model = dialect.open();
        state.line.sent(SamplePos(8_000), 8_000);
        state.turns.speech_started(0);
        state.turns.speech_paused(0, 4_800);
        let _asked = dialect.force();
        dialect.on_text(message, &mut state).unwrap();
        let events = state.turns.take_events();
        let heard = events.iter().any(|event| {
            matches!(event, SttEvent::Partial(told) | SttEvent::Final(told) if told.text.contains("hello"))
        });
        assert!(heard, "{message}: {events:?}");
    }
}
