//! What the engine hears in a recording.

use offhook_audio::{Dbov, FRAME_SAMPLES, HighPass, PcmFrame, SamplePos};
use offhook_endpoint::dtmf::DtmfDetector;
use offhook_endpoint::tones::{Beep, BeepDetector, ProgressDetector, ToneEvent};
use offhook_endpoint::{Detector, FrameVerdict, SpeechEvent, TalkspurtConfig, Talkspurts};

/// A run of speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spurt {
    pub(super) from: SamplePos,
    pub(super) until: SamplePos,
    /// Of the sound between them.
    pub(super) level: Dbov,
}

/// All that was heard.
pub(super) struct Analysis {
    /// Samples at 8 kHz.
    pub(super) length: usize,
    /// One a frame; the last may be partly beyond the recording's end.
    pub(super) frames: Vec<FrameVerdict>,
    pub(super) spurts: Vec<Spurt>,
    /// How many keys were pressed; not which.
    pub(super) keys: usize,
    pub(super) tones: Vec<ToneEvent>,
    pub(super) beeps: Vec<Beep>,
}

impl Analysis {
    /// Takes the recording through the same steps as a call does.
    pub(super) fn of(sound: &[i16], detector: Box<dyn Detector>, config: TalkspurtConfig) -> Self {
        let mut spurts = Talkspurts::new(detector, config);
        let (mut high_pass, mut dtmf) = (HighPass::default(), DtmfDetector::default());
        let (mut progress, mut mailbox) = (ProgressDetector::default(), BeepDetector::default());
        let mut analysis = Self {
            length: sound.len(),
            frames: Vec::with_capacity(sound.len() / FRAME_SAMPLES + 1),
            spurts: Vec::new(),
            keys: 0,
            tones: Vec::new(),
            beeps: Vec::new(),
        };
        let mut onset = None;
        for chunk in sound.chunks(FRAME_SAMPLES) {
            let mut frame = PcmFrame::SILENCE;
            for (to, from) in frame.0.iter_mut().zip(chunk) {
                *to = *from;
            }
            analysis.keys += usize::from(dtmf.push(&frame).is_some());
            analysis.tones.extend(progress.push(&frame));
            analysis.beeps.extend(mailbox.push(&frame));
            high_pass.process(&mut frame);
            let verdict = spurts.push(&frame);
            match verdict.event {
                Some(SpeechEvent::Onset { at }) => onset = Some(at),
                Some(SpeechEvent::Offset { at }) => analysis.add(onset.take(), at, sound),
                None => {}
            }
            analysis.frames.push(verdict);
        }
        if let Some(SpeechEvent::Offset { at }) = spurts.reset() {
            analysis.add(onset, at, sound);
        }
        analysis
    }

    fn add(&mut self, from: Option<SamplePos>, until: SamplePos, sound: &[i16]) {
        let Some(from) = from else { return };
        let until = SamplePos(until.0.min(sound.len() as u64));
        let inside = sound.get(from.0 as usize..until.0 as usize).unwrap_or(&[]);
        self.spurts.push(Spurt { from, until, level: Dbov::of(inside) });
    }

    /// The level of all speech, [`Dbov::SILENCE`] if there is none.
    pub(super) fn speech_level(&self) -> Dbov {
        let (mut energy, mut samples) = (0.0, 0.0);
        for spurt in &self.spurts {
            let count = spurt.until.since(spurt.from).0 as f64;
            energy += count * 10f64.powf(f64::from(spurt.level.0) / 10.0);
            samples += count;
        }
        if energy > 0.0 { Dbov((10.0 * (energy / samples).log10()) as f32) } else { Dbov::SILENCE }
    }

    /// The median of the noise floor as it was tracked.
    pub(super) fn noise_floor(&self) -> Option<Dbov> {
        let mut floors: Vec<f32> = self.frames.iter().map(|frame| frame.noise_floor.0).collect();
        floors.sort_by(f32::total_cmp);
        floors.get(floors.len() / 2).copied().map(Dbov)
    }

    /// Samples of speech.
    pub(super) fn speech(&self) -> u64 {
        self.spurts.iter().map(|spurt| spurt.until.since(spurt.from).0).sum()
    }
}
