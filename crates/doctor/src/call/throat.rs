//! How long the throat is that a voice comes from.
//!
//! - What: the even spacing of resonances (formants) that fits a voice best, over all of its voiced frames, in hertz: of a tube that
//!   is closed at one end they lie at 1, 3, 5 and 7 times that. 500 Hz are 17.5 cm, a man's; 600 Hz a woman's. Sound that is
//!   played at 0.73 of its rate has 0.73 of the spacing: a throat of 24 cm, which nobody has.
//! - How: linear prediction of the tenth order, pre-emphasised, over 30 ms; the roots of its polynomial are the resonances, those
//!   with a bandwidth under 500 Hz count; the median over all frames.
//! - Source: D. Childers, "Speech Processing and Synthesis Toolboxes", 2000, chapter 3; B. Atal, S. Hanauer, JASA 50, 1971; roots by
//!   Durand and Kerner.

use std::f64::consts::TAU;

const RATE: f64 = 8_000.0;
const FRAME: usize = 240;
const STEP: usize = 120;
const ORDER: usize = 10;
/// Frames with less than this part of the loudest one's energy are no vowels.
const LOUD: f64 = 0.03;
/// Nor are those whose sign changes at more than this part of the samples.
const HISS: f64 = 0.28;
const WIDEST: f64 = 500.0;
const FORMANTS: std::ops::Range<f64> = 200.0..3_800.0;
/// So many frames must tell.
const LEAST_FRAMES: usize = 40;

/// The spacing of the resonances, if enough of a voice is there.
pub(super) fn spacing(samples: &[f64]) -> Option<f64> {
    let energy = |frame: &[f64]| frame.iter().map(|x| x * x).sum::<f64>();
    let frames = || samples.windows(FRAME + 1).step_by(STEP);
    let loudest = frames().map(energy).fold(0.0, f64::max);
    let window: Vec<f64> =
        (0..FRAME).map(|at| 0.54 - 0.46 * (TAU * at as f64 / (FRAME - 1) as f64).cos()).collect();
    let mut found = Vec::new();
    for frame in frames() {
        let changes = frame.windows(2).filter(|two| two[0] * two[1] < 0.0).count() as f64;
        if energy(frame) < loudest * LOUD || changes > HISS * FRAME as f64 {
            continue;
        }
        let emphasised = frame.windows(2).zip(&window).map(|(two, window)| (two[1] - 0.97 * two[0]) * window);
        let Some(polynomial) = prediction(&emphasised.collect::<Vec<_>>()) else { continue };
        let mut formants: Vec<f64> = roots(&polynomial)
            .into_iter()
            .filter(|root| root.1 > 0.01)
            .filter(|root| -root.0.hypot(root.1).ln() * RATE / std::f64::consts::PI < WIDEST)
            .map(|root| root.1.atan2(root.0) * RATE / TAU)
            .filter(|hertz| FORMANTS.contains(hertz))
            .collect();
        formants.sort_by(f64::total_cmp);
        if formants.len() >= 3 {
            let odd = |at: usize| (2 * at + 1) as f64;
            let first = formants.iter().take(4).enumerate();
            let (along, own) = first.fold((0.0, 0.0), |(along, own), (at, hertz)| {
                (along + hertz * odd(at), own + odd(at) * odd(at))
            });
            found.push(along / own);
        }
    }
    found.sort_by(f64::total_cmp);
    found.get(found.len() / 2).copied().filter(|_| found.len() >= LEAST_FRAMES)
}

/// The coefficients behind the leading one, by Levinson and Durbin.
fn prediction(frame: &[f64]) -> Option<[f64; ORDER]> {
    let along = |by: usize| frame.iter().zip(frame.iter().skip(by)).map(|(x, y)| x * y).sum::<f64>();
    let mut error = along(0) * 1.0001;
    let mut a = [0.0; ORDER];
    for order in 0..ORDER {
        if error <= 0.0 {
            return None;
        }
        let known: f64 = (0..order).map(|at| a[at] * along(order - at)).sum();
        let reflection = -(along(order + 1) + known) / error;
        let before = a;
        for at in 0..order {
            a[at] = before[at] + reflection * before[order - 1 - at];
        }
        a[order] = reflection;
        error *= 1.0 - reflection * reflection;
    }
    Some(a)
}

/// All roots of the polynomial with these coefficients behind the leading 1: real and imaginary parts.
fn roots(coefficients: &[f64; ORDER]) -> [(f64, f64); ORDER] {
    const ROUNDS: usize = 60;
    let times = |x: (f64, f64), y: (f64, f64)| (x.0 * y.0 - x.1 * y.1, x.0 * y.1 + x.1 * y.0);
    // On a circle, none a mirror image of another.
    let mut roots: [(f64, f64); ORDER] = std::array::from_fn(|at| {
        let turn = TAU * (at as f64 + 0.3) / ORDER as f64;
        (0.9 * turn.cos(), 0.9 * turn.sin())
    });
    for _ in 0..ROUNDS {
        let mut moved = 0.0_f64;
        for at in 0..ORDER {
            let x = roots[at];
            let value = coefficients.iter().fold((1.0, 0.0), |sum, a| {
                let (real, imaginary) = times(sum, x);
                (real + a, imaginary)
            });
            let others = roots.iter().enumerate().filter(|(other, _)| *other != at);
            let (real, imaginary) =
                others.fold((1.0, 0.0), |product, (_, y)| times(product, (x.0 - y.0, x.1 - y.1)));
            let size = (real * real + imaginary * imaginary).max(1e-300);
            let step = times(value, (real / size, -imaginary / size));
            roots[at] = (x.0 - step.0, x.1 - step.1);
            moved = moved.max(step.0.abs() + step.1.abs());
        }
        if moved < 1e-9 {
            break;
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tube's sound: pulses through resonances at these places.
    fn tube(spacing: f64) -> Vec<f64> {
        // Pulses, soft as those of vocal folds.
        let (mut once, mut twice) = (0.0, 0.0);
        let folds = (0..16_000).map(|at| {
            once += 0.15 * (if at % 71 == 0 { 3_000.0 } else { 0.0 } - once);
            twice += 0.15 * (once - twice);
            twice
        });
        let mut sound: Vec<f64> = folds.collect();
        for odd in [1.0, 3.0, 5.0, 7.0] {
            let turn = TAU * spacing * odd / RATE;
            let size = (-std::f64::consts::PI * 90.0 / RATE).exp();
            let (mut one, mut two) = (0.0, 0.0);
            for x in &mut sound {
                let y = *x + 2.0 * size * turn.cos() * one - size * size * two;
                (two, one) = (one, y);
                *x = y;
            }
        }
        sound
    }

    #[test]
    fn a_tubes_length_is_found() {
        for hertz in [360.0, 430.0, 500.0, 540.0] {
            let found = spacing(&tube(hertz)).unwrap();
            assert!((found / hertz - 1.0).abs() < 0.03, "{hertz}: {found}");
        }
        assert_eq!(spacing(&[0.0; 16_000]), None);
    }
}
