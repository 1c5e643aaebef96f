//! A complex Fourier transform of 256 points, always in the same order of operations.
//!
//! How: Stockham's self-sorting transform, radix 4 (Van Loan, 1992): four passes between two buffers, no bit reversal,
//! and inner loops that compilers turn into SIMD without reordering a sum.

use super::math::cos_turns;

/// Points of the transform.
pub(crate) const POINTS: usize = 256;
/// Of a buffer of real parts, or of imaginary ones.
pub(crate) type Buffer = [f32; POINTS];

/// e^(−2πik/256), real and imaginary parts.
static TWIDDLES: ([f32; POINTS], [f32; POINTS]) = twiddles();

const fn twiddles() -> ([f32; POINTS], [f32; POINTS]) {
    let (mut re, mut im) = ([0.0; POINTS], [0.0; POINTS]);
    let mut k = 0;
    while k < POINTS {
        let turns = k as f64 / POINTS as f64;
        re[k] = cos_turns(turns) as f32;
        // −sin x = cos(x + ¼ turn)
        im[k] = cos_turns((turns + 0.25) % 1.0) as f32;
        k += 1;
    }
    (re, im)
}

/// Transforms in place.
#[inline(always)]
pub(crate) fn transform(re: &mut Buffer, im: &mut Buffer) {
    let (mut re2, mut im2) = ([0.0; POINTS], [0.0; POINTS]);
    pass::<64, 1>(re, im, &mut re2, &mut im2);
    pass::<16, 4>(&re2, &im2, re, im);
    pass::<4, 16>(re, im, &mut re2, &mut im2);
    pass::<1, 64>(&re2, &im2, re, im);
}

/// One radix-4 pass: `M` butterflies with their own twiddles, each over `S` neighbours; `4 · M · S` is [`POINTS`].
#[inline(always)]
fn pass<const M: usize, const S: usize>(re: &Buffer, im: &Buffer, re_out: &mut Buffer, im_out: &mut Buffer) {
    for p in 0..M {
        let (w1r, w1i) = (TWIDDLES.0[p * S], TWIDDLES.1[p * S]);
        let (w2r, w2i) = (TWIDDLES.0[2 * p * S], TWIDDLES.1[2 * p * S]);
        let (w3r, w3i) = (TWIDDLES.0[3 * p * S], TWIDDLES.1[3 * p * S]);
        for q in 0..S {
            let (i0, i1, i2, i3) = (q + S * p, q + S * (p + M), q + S * (p + 2 * M), q + S * (p + 3 * M));
            let (a_re, a_im) = (re[i0] + re[i2], im[i0] + im[i2]);
            let (b_re, b_im) = (re[i0] - re[i2], im[i0] - im[i2]);
            let (c_re, c_im) = (re[i1] + re[i3], im[i1] + im[i3]);
            // −i · (x1 − x3)
            let (d_re, d_im) = (im[i1] - im[i3], re[i3] - re[i1]);
            let o = q + S * 4 * p;
            re_out[o] = a_re + c_re;
            im_out[o] = a_im + c_im;
            let (t_re, t_im) = (b_re + d_re, b_im + d_im);
            re_out[o + S] = t_re * w1r - t_im * w1i;
            im_out[o + S] = t_re * w1i + t_im * w1r;
            let (t_re, t_im) = (a_re - c_re, a_im - c_im);
            re_out[o + 2 * S] = t_re * w2r - t_im * w2i;
            im_out[o + 2 * S] = t_re * w2i + t_im * w2r;
            let (t_re, t_im) = (b_re - d_re, b_im - d_im);
            re_out[o + 3 * S] = t_re * w3r - t_im * w3i;
            im_out[o + 3 * S] = t_re * w3i + t_im * w3r;
        }
    }
}

/// e^(−2πik/512), k < 257.
static HALF_TWIDDLES: ([f32; POINTS + 1], [f32; POINTS + 1]) = half_twiddles();

const fn half_twiddles() -> ([f32; POINTS + 1], [f32; POINTS + 1]) {
    let (mut re, mut im) = ([0.0; POINTS + 1], [0.0; POINTS + 1]);
    let mut k = 0;
    while k <= POINTS {
        let turns = k as f64 / (2 * POINTS) as f64;
        re[k] = cos_turns(turns) as f32;
        im[k] = cos_turns((turns + 0.25) % 1.0) as f32;
        k += 1;
    }
    (re, im)
}

/// The power spectrum of 512 real samples, given as two buffers of even and odd ones: bins 0 to 256.
#[inline(always)]
pub(crate) fn power_of_real(even: &mut Buffer, odd: &mut Buffer, power: &mut [f32; POINTS + 1]) {
    transform(even, odd);
    for (k, power) in power.iter_mut().enumerate() {
        let (i, j) = (k % POINTS, (POINTS - k) % POINTS);
        // The transforms of the even and of the odd samples, from their sum's symmetries.
        let (e_re, e_im) = (even[i] + even[j], odd[i] - odd[j]);
        let (o_re, o_im) = (odd[i] + odd[j], even[j] - even[i]);
        let (w_re, w_im) = (HALF_TWIDDLES.0[k], HALF_TWIDDLES.1[k]);
        let re = e_re + (o_re * w_re - o_im * w_im);
        let im = e_im + (o_re * w_im + o_im * w_re);
        *power = 0.25 * (re * re + im * im);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let x: Vec<f64> = (0..512).map(|n| f64::from((n * n * 7 + n * 3) % 101) - 50.0).collect();
        let (mut even, mut odd, mut power) = ([0.0; 256], [0.0; 256], [0.0; 257]);
        for n in 0..256 {
            even[n] = x[2 * n] as f32;
            odd[n] = x[2 * n + 1] as f32;
        }
        power_of_real(&mut even, &mut odd, &mut power);
        for (k, &power) in power.iter().enumerate() {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, x) in x.iter().enumerate() {
                let angle = std::f64::consts::TAU * (k * n % 512) as f64 / 512.0;
                re += x * angle.cos();
                im -= x * angle.sin();
            }
            let truth = re * re + im * im;
            assert!((f64::from(power) - truth).abs() < 1e-4 * truth + 5.0, "bin {k}: {power} {truth}");
        }
    }
}
