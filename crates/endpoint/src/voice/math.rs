//! Elementary functions from additions, multiplications and divisions alone.
//!
//! The platform's `ln`, `exp`, `sin` and `tanh` differ in their last bits between machines; a call must replay to the
//! byte. IEEE 754 fixes the basic operations and the square root, and Rust neither reorders nor fuses them.

/// Binary logarithm of a positive, normal number, within 2·10⁻⁵.
///
/// How: the exponent from the bits; the mantissa, brought to √½…√2, by the series of artanh (Abramowitz & Stegun 4.1.27).
#[must_use]
#[inline(always)]
pub(crate) fn log2(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3F35_04F3;
    let bits = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (bits as i32) >> 23;
    let mantissa = f32::from_bits((bits & 0x007F_FFFF) + SQRT_HALF_BITS);
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let zz = z * z;
    exponent as f32 + z * (2.885_39 + zz * (0.961_796_7 + zz * (0.577_078 + zz * 0.412_2)))
}

/// Hyperbolic tangent within 2·10⁻⁴: a continued fraction (Lambert's), cut where it leaves ±1.
#[must_use]
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let x = x.clamp(-4.97, 4.97);
    let xx = x * x;
    let above = x * (135_135.0 + xx * (17_325.0 + xx * (378.0 + xx)));
    let below = 135_135.0 + xx * (62_370.0 + xx * (3_150.0 + xx * 28.0));
    (above / below).clamp(-1.0, 1.0)
}

/// The logistic function, 0 to 1.
#[must_use]
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

/// The cosine of `turns` whole turns, 0 ≤ `turns` ≤ 1; for tables made at compile time.
pub(crate) const fn cos_turns(turns: f64) -> f64 {
    // Fold to an eighth of a turn around 0, where ten terms of the series are exact to the last bits of an f64.
    let turns = if turns > 0.5 { 1.0 - turns } else { turns };
    let (folded, sign) = if turns > 0.25 { (0.5 - turns, -1.0) } else { (turns, 1.0) };
    let x = folded * 2.0 * core::f64::consts::PI;
    let xx = x * x;
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut n = 1;
    while n <= 12 {
        term = -term * xx / ((2 * n - 1) as f64 * (2 * n) as f64);
        sum += term;
        n += 1;
    }
    sign * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_real_ones() {
        for n in 1..4_000 {
            let x = f64::from(n) * 0.37;
            assert!((f64::from(log2(x as f32)) - x.log2()).abs() < 3e-5, "log2 {x}");
            let x = f64::from(n - 2_000) / 200.0;
            assert!((f64::from(tanh(x as f32)) - x.tanh()).abs() < 3e-4, "tanh {x}");
            assert!((f64::from(sigmoid(x as f32)) - 1.0 / (1.0 + (-x).exp())).abs() < 2e-4, "sigmoid {x}");
            let turns = f64::from(n) / 4_000.0;
            assert!((cos_turns(turns) - (std::f64::consts::TAU * turns).cos()).abs() < 1e-12, "cos {turns}");
        }
        assert_eq!((tanh(1e30), tanh(-1e30)), (tanh(5.0), -tanh(5.0)));
    }
}
