//! How much a codec distorts, over the level of what goes through it.

use std::f64::consts::TAU;

/// One sample through a codec and back.
pub type Codec = fn(i16) -> i16;

/// G.711 μ-law.
#[must_use]
pub const fn mulaw(sample: i16) -> i16 {
    offhook_mulaw::decode(offhook_mulaw::encode(sample))
}

/// G.711 A-law.
#[must_use]
pub const fn alaw(sample: i16) -> i16 {
    offhook_mulaw::alaw::decode(offhook_mulaw::alaw::encode(sample))
}

/// The largest amplitude of a sine in μ-law's 16-bit scale, by definition +3.17 dBm0 (G.711, § 4). A-law's +3.14 dBm0 is
/// 0.03 dB from it, as their 16-bit scales are.
const OVERLOAD: (f64, f64) = (32_636.0, 3.17);

/// What goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// 1 020 Hz, as ITU-T G.712 asks for.
    Sine,
    /// Samples distributed as those of speech are, by Laplace's law; the same ones every time.
    SpeechLike,
}

/// Signal to total distortion in dB at a level in dBm0.
#[must_use]
pub fn distortion(codec: Codec, signal: Signal, dbm0: f64) -> f64 {
    let rms = OVERLOAD.0 / 2f64.sqrt() * 10f64.powf((dbm0 - OVERLOAD.1) / 20.0);
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let input = (0..40_000).map(|n| match signal {
        Signal::Sine => rms * 2f64.sqrt() * (TAU * 1_020.0 / 8_000.0 * f64::from(n) + 0.3).sin(),
        Signal::SpeechLike => {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let even = ((state >> 11) as f64 / (1u64 << 53) as f64 - 0.5).clamp(-0.499_999, 0.499_999);
            -rms / 2f64.sqrt() * even.signum() * (1.0 - 2.0 * even.abs()).ln()
        }
    });
    // A gain isn't a distortion: take out the share of the output that is the input.
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for x in input {
        let y = f64::from(codec(x.round().clamp(-32_768.0, 32_767.0) as i16));
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    let kept = xy * xy / xx;
    10.0 * (kept / (yy - kept)).log10()
}

/// ITU-T G.712's limit for a sine from voice port to voice port: level in dBm0, signal to total distortion in dB; straight
/// between, nothing asked for outside.
pub const G712_SINE: [(f64, f64); 4] = [(-45.0, 22.0), (-40.0, 27.0), (-30.0, 33.0), (0.0, 33.0)];

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(dbm0: f64) -> f64 {
        let (below, above) =
            G712_SINE.windows(2).map(|pair| (pair[0], pair[1])).find(|(_, above)| dbm0 <= above.0).unwrap();
        below.1 + (above.1 - below.1) * (dbm0 - below.0) / (above.0 - below.0)
    }

    #[test]
    fn both_laws_are_within_g712() {
        for codec in [mulaw, alaw] {
            for dbm0 in (-45..=0).map(f64::from) {
                let found = distortion(codec, Signal::Sine, dbm0);
                assert!(found > limit(dbm0) + 1.0, "{dbm0} dBm0: {found:.1} dB");
            }
        }
    }

    #[test]
    fn speech_keeps_its_distance_over_35_db() {
        for dbm0 in (-40..=-15).map(f64::from) {
            let found = distortion(mulaw, Signal::SpeechLike, dbm0);
            assert!((31.0..40.0).contains(&found), "{dbm0} dBm0: {found:.1} dB");
        }
        // Softer than that, steps have one size and every decibel counts; louder, peaks are clipped.
        assert!(distortion(mulaw, Signal::SpeechLike, -60.0) < 25.0);
        assert!(distortion(mulaw, Signal::SpeechLike, 0.0) < 25.0);
    }
}
