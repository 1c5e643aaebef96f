//! What both laws offer on slices and frames.

/// Slices and frames by `decode` and `encode` of the module, or by the vector unit with the law's tables.
macro_rules! slices {
    ($law:literal, $tables:path) => {
        #[doc = concat!("Expands ", $law, " octets to samples; as many as the shorter of the two slices has.")]
        pub fn decode_slice(octets: &[u8], samples: &mut [i16]) {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            let done = $tables.decode(octets, samples);
            #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
            let done = 0;
            let (octets, samples) = (octets.get(done..), samples.get_mut(done..));
            for (sample, &octet) in samples.into_iter().flatten().zip(octets.into_iter().flatten()) {
                *sample = decode(octet);
            }
        }

        #[doc = concat!("Compresses samples to ", $law, " octets; as many as the shorter of the two slices has.")]
        pub fn encode_slice(samples: &[i16], octets: &mut [u8]) {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            let done = $tables.encode(samples, octets);
            #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
            let done = 0;
            let (samples, octets) = (samples.get(done..), octets.get_mut(done..));
            for (octet, &sample) in octets.into_iter().flatten().zip(samples.into_iter().flatten()) {
                *octet = encode(sample);
            }
        }

        /// Expands a 20 ms frame.
        pub fn decode_frame(octets: &[u8; 160], samples: &mut [i16; 160]) {
            decode_slice(octets, samples);
        }

        /// Compresses a 20 ms frame.
        pub fn encode_frame(samples: &[i16; 160], octets: &mut [u8; 160]) {
            encode_slice(samples, octets);
        }
    };
}

/// Slices of all lengths, at all places, and frames say what single samples say.
#[cfg(test)]
macro_rules! slice_tests {
    () => {
        #[test]
        fn slices_say_what_single_samples_say() {
            let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
            let mut octets = vec![0; all.len()];
            encode_slice(&all, &mut octets);
            assert!(all.iter().zip(&octets).all(|(&sample, &octet)| octet == encode(sample)));
            let every: Vec<u8> = (0..2_000u32).map(|n| (n * 37 + n / 256) as u8).collect();
            for length in [0, 1, 15, 16, 31, 32, 33, 63, 64, 159, 160, 161, 1_000] {
                for from in [0, 1, 7, 32] {
                    // A guard behind the end must stay as it is.
                    let mut samples = vec![77; length + 1];
                    decode_slice(&every[from..from + length], &mut samples[..length]);
                    let expected = every[from..].iter().map(|&octet| decode(octet));
                    assert!(
                        samples.iter().take(length).copied().eq(expected.take(length)),
                        "{length} from {from}"
                    );
                    assert_eq!(samples[length], 77);
                    let mut back = vec![77; length + 1];
                    encode_slice(&samples[..length], &mut back[..length]);
                    assert!(
                        back.iter()
                            .zip(&samples)
                            .take(length)
                            .all(|(&octet, &sample)| octet == encode(sample))
                    );
                    assert_eq!(back[length], 77);
                }
            }
            let mut frame = [0; 160];
            decode_frame(every[..160].try_into().unwrap(), &mut frame);
            let mut octets = [0; 160];
            encode_frame(&frame, &mut octets);
            assert!(frame.iter().zip(octets).all(|(&sample, octet)| octet == encode(sample)));
        }

        #[test]
        fn the_shorter_slice_counts() {
            let mut samples = [1; 40];
            decode_slice(&[0xFF; 35], &mut samples);
            assert_eq!(samples[34..36], [decode(0xFF), 1]);
            let mut octets = [1; 35];
            encode_slice(&[0; 40], &mut octets);
            assert!(octets.iter().all(|&octet| octet == encode(0)));
        }
    };
}

#[cfg(test)]
pub(crate) use slice_tests;
pub(crate) use slices;
