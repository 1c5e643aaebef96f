//! A soft limiter: loud sound is bent, never clipped.
//!
//! What: gains and mixes may go beyond 16 bits; cut off there they would crackle, and wrapped around they would bang.
//! How: below −3 dBFS it is transparent to the bit. Above, the excess is compressed by a rational knee,
//! `knee + room·e/(e + room)`, continuous in value and slope, which reaches full scale only at infinity. No look-ahead,
//! no state, no delay. No standard asks for this curve; it is the cheapest smooth one.

/// Where bending starts: −3 dBFS.
const KNEE: i32 = 23_197;
const ROOM: i32 = 32_767 - KNEE;

/// Bends one sample, given with headroom above 16 bits.
#[must_use]
pub fn soft_limit(sample: i32) -> i16 {
    let magnitude = sample.unsigned_abs().min(1 << 24) as i32;
    if magnitude <= KNEE {
        return sample as i16;
    }
    let excess = i64::from(magnitude - KNEE);
    let bent = KNEE + (i64::from(ROOM) * excess / (excess + i64::from(ROOM))) as i32;
    if sample < 0 { -bent as i16 } else { bent as i16 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_transparent_below_the_knee_odd_and_rising(sample in -200_000i32..200_000) {
            let bent = soft_limit(sample);
            if sample.abs() <= KNEE {
                prop_assert_eq!(i32::from(bent), sample);
            }
            prop_assert_eq!(soft_limit(-sample), -bent);
            prop_assert!(soft_limit(sample + 1) >= bent);
            prop_assert!(bent.unsigned_abs() <= 32_767);
        }
    }
}
