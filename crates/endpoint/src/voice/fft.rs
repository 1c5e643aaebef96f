//! A complex Fourier transform of 256 points, always in the same order of operations.
//!
//! How: in four steps (Bailey, 1990), as a square of 16 by 16: columns are transformed, turned by their twiddles, made rows,
//! and columns are transformed again. A column's 16 points take two radix-4 passes of Stockham's self-sorting transform
//! (Van Loan, 1992). All columns go side by side, so that compilers turn the passes into SIMD without reordering a sum.

use super::math::cos_turns;

/// Points of the transform.
pub(crate) const POINTS: usize = 256;
/// The square's side.
const SIDE: usize = 16;
/// Of a buffer of real parts, or of imaginary ones.
pub(crate) type Buffer = [f32; POINTS];

/// e^(−2πiqk/256) at 16·k + q, real and imaginary parts: for column q's k-th point.
static TWIDDLES: (Buffer, Buffer) = twiddles();

const fn twiddles() -> (Buffer, Buffer) {
    let (mut re, mut im) = ([0.0; POINTS], [0.0; POINTS]);
    let mut n = 0;
    while n < POINTS {
        let turns = ((n / SIDE) * (n % SIDE)) as f64 / POINTS as f64;
        re[n] = cos_turns(turns) as f32;
        // −sin x = cos(x + ¼ turn)
        im[n] = cos_turns((turns + 0.25) % 1.0) as f32;
        n += 1;
    }
    (re, im)
}

/// e^(−2πik/16), k < 10.
static SIXTEENTHS: [(f32, f32); 10] = sixteenths();

const fn sixteenths() -> [(f32, f32); 10] {
    let mut all = [(0.0, 0.0); 10];
    let mut k = 0;
    while k < all.len() {
        let turns = k as f64 / SIDE as f64;
        all[k] = (cos_turns(turns) as f32, cos_turns((turns + 0.25) % 1.0) as f32);
        k += 1;
    }
    all
}

/// Transforms `re` and `im`, which are spoiled, into `re_out` and `im_out`.
#[inline(always)]
pub(crate) fn transform(re: &mut Buffer, im: &mut Buffer, re_out: &mut Buffer, im_out: &mut Buffer) {
    pass::<4>(re, im, re_out, im_out);
    pass::<1>(re_out, im_out, re, im);
    for n in 0..POINTS {
        let (a, b, w_re, w_im) = (re[n], im[n], TWIDDLES.0[n], TWIDDLES.1[n]);
        (re[n], im[n]) = (a * w_re - b * w_im, a * w_im + b * w_re);
    }
    transpose(re, re_out);
    transpose(im, im_out);
    pass::<4>(re_out, im_out, re, im);
    pass::<1>(re, im, re_out, im_out);
}

/// Makes columns of rows, four by four.
#[inline(always)]
fn transpose(square: &Buffer, out: &mut Buffer) {
    for k in (0..SIDE).step_by(4) {
        for q in (0..SIDE).step_by(4) {
            let row = |n: usize| [0, 1, 2, 3].map(|m| square[SIDE * (k + n) + q + m]);
            let rows = [row(0), row(1), row(2), row(3)];
            for m in 0..4 {
                for n in 0..4 {
                    out[SIDE * (q + m) + k + n] = rows[n][m];
                }
            }
        }
    }
}

/// One radix-4 pass over all columns: `M` butterflies with their own twiddles.
#[inline(always)]
fn pass<const M: usize>(re: &Buffer, im: &Buffer, re_out: &mut Buffer, im_out: &mut Buffer) {
    let side = POINTS / 4 / M;
    for p in 0..M {
        let [(w1r, w1i), (w2r, w2i), (w3r, w3i)] = [1, 2, 3].map(|n| SIXTEENTHS[n * p]);
        for q in 0..side {
            let (i0, i1, i2, i3) =
                (q + side * p, q + side * (p + M), q + side * (p + 2 * M), q + side * (p + 3 * M));
            let (a_re, a_im) = (re[i0] + re[i2], im[i0] + im[i2]);
            let (b_re, b_im) = (re[i0] - re[i2], im[i0] - im[i2]);
            let (c_re, c_im) = (re[i1] + re[i3], im[i1] + im[i3]);
            // −i · (x1 − x3)
            let (d_re, d_im) = (im[i1] - im[i3], re[i3] - re[i1]);
            let o = q + side * 4 * p;
            re_out[o] = a_re + c_re;
            im_out[o] = a_im + c_im;
            let (t_re, t_im) = (b_re + d_re, b_im + d_im);
            re_out[o + side] = t_re * w1r - t_im * w1i;
            im_out[o + side] = t_re * w1i + t_im * w1r;
            let (t_re, t_im) = (a_re - c_re, a_im - c_im);
            re_out[o + 2 * side] = t_re * w2r - t_im * w2i;
            im_out[o + 2 * side] = t_re * w2i + t_im * w2r;
            let (t_re, t_im) = (b_re - d_re, b_im - d_im);
            re_out[o + 3 * side] = t_re * w3r - t_im * w3i;
            im_out[o + 3 * side] = t_re * w3i + t_im * w3r;
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

/// The power spectrum of 512 real samples, given as two buffers of even and odd ones, which are spoiled: bins 0 to 256.
#[inline(always)]
pub(crate) fn power_of_real(even: &mut Buffer, odd: &mut Buffer, power: &mut [f32; POINTS + 1]) {
    let (mut re, mut im) = ([0.0; POINTS], [0.0; POINTS]);
    transform(even, odd, &mut re, &mut im);
    let bin = |k: usize, (re_k, im_k): (f32, f32), (re_j, im_j): (f32, f32)| {
        // The transforms of the even and of the odd samples, from their sum's symmetries.
        let (e_re, e_im) = (re_k + re_j, im_k - im_j);
        let (o_re, o_im) = (im_k + im_j, re_j - re_k);
        let (w_re, w_im) = (HALF_TWIDDLES.0[k], HALF_TWIDDLES.1[k]);
        let re = e_re + (o_re * w_re - o_im * w_im);
        let im = e_im + (o_re * w_im + o_im * w_re);
        0.25 * (re * re + im * im)
    };
    for k in 1..POINTS {
        let j = POINTS - k;
        power[k] = bin(k, (re[k], im[k]), (re[j], im[j]));
    }
    for k in [0, POINTS] {
        power[k] = bin(k, (re[0], im[0]), (re[0], im[0]));
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
