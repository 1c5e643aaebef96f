//! The network: a layer, a gated recurrent unit (Cho et al., 2014), one probability.
//!
//! Weights are bytes with a scale for each output, widened once for all calls. Sums run in one fixed order, without fused
//! operations, so every machine gets the same bits.

use std::sync::OnceLock;

use super::features::FEATURES;
use super::math::{sigmoid, tanh};

/// Width of the layer.
const LAYER: usize = 48;
/// Width of the memory.
const STATE: usize = 64;
const GATES: usize = 3 * STATE;

/// What `training/train.py` writes: for each matrix the scales of its outputs, then its bytes, input by input; then the
/// other vectors, all little endian.
static STORED: &[u8] = include_bytes!("weights.bin");

/// The shipped weights, widened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    layer: Box<[[f32; LAYER]; FEATURES]>,
    input: Box<[[f32; GATES]; LAYER]>,
    memory: Box<[[f32; GATES]; STATE]>,
    layer_bias: [f32; LAYER],
    input_bias: [f32; GATES],
    memory_bias: [f32; STATE],
    output: [f32; STATE],
    output_bias: f32,
}

impl Weights {
    /// The ones this crate comes with.
    pub(crate) fn shipped() -> &'static Self {
        static WEIGHTS: OnceLock<Weights> = OnceLock::new();
        WEIGHTS.get_or_init(|| Self::read(STORED))
    }

    /// Missing bytes count as zeros: a test holds that none are missing.
    pub(crate) fn read(stored: &[u8]) -> Self {
        let mut rest = Reader(stored);
        Self {
            layer: rest.matrix(),
            input: rest.matrix(),
            memory: rest.matrix(),
            layer_bias: rest.vector(),
            input_bias: rest.vector(),
            memory_bias: rest.vector(),
            output: rest.vector(),
            output_bias: rest.vector::<1>()[0],
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn vector<const N: usize>(&mut self) -> [f32; N] {
        let mut vector = [0.0; N];
        for (to, octets) in vector.iter_mut().zip(self.take(4 * N).as_chunks::<4>().0) {
            *to = f32::from_le_bytes(*octets);
        }
        vector
    }

    fn matrix<const IN: usize, const OUT: usize>(&mut self) -> Box<[[f32; OUT]; IN]> {
        let scale: [f32; OUT] = self.vector();
        let mut matrix = Box::new([[0.0; OUT]; IN]);
        let octets = self.take(IN * OUT);
        for (row, octets) in matrix.iter_mut().zip(octets.as_chunks::<OUT>().0) {
            for ((to, octet), scale) in row.iter_mut().zip(octets).zip(scale) {
                *to = f32::from(octet.cast_signed()) * scale;
            }
        }
        matrix
    }
}

/// The network's memory of one stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Memory([f32; STATE]);

impl Memory {
    pub(crate) const fn new() -> Self {
        Self([0.0; STATE])
    }

    /// The probability of speech in the frame with these features.
    #[inline(always)]
    pub(crate) fn step(&mut self, weights: &Weights, features: &[f32; FEATURES]) -> f32 {
        let mut layer = weights.layer_bias;
        multiply_add(&weights.layer, features, &mut layer);
        for value in &mut layer {
            *value = value.max(0.0);
        }
        let mut input = weights.input_bias;
        multiply_add(&weights.input, &layer, &mut input);
        let mut memory = [0.0; GATES];
        multiply_add(&weights.memory, &self.0, &mut memory);
        for n in 0..STATE {
            let keep = sigmoid(input[n] + memory[n]);
            let reset = sigmoid(input[STATE + n] + memory[STATE + n]);
            let fresh = tanh(input[2 * STATE + n] + reset * (memory[2 * STATE + n] + weights.memory_bias[n]));
            self.0[n] = keep * self.0[n] + (1.0 - keep) * fresh;
        }
        let products = self.0.iter().zip(&weights.output).map(|(value, weight)| value * weight);
        sigmoid(products.fold(weights.output_bias, |sum, product| sum + product))
    }
}

/// `out += matrix · vector`, output by output in step, so that the compiler's vectors change no sum.
#[inline(always)]
fn multiply_add<const IN: usize, const OUT: usize>(
    matrix: &[[f32; OUT]; IN],
    vector: &[f32; IN],
    out: &mut [f32; OUT],
) {
    for (row, &value) in matrix.iter().zip(vector) {
        for (out, weight) in out.iter_mut().zip(row) {
            *out += value * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_weights_are_whole() {
        let matrices = 4 * LAYER + FEATURES * LAYER + 4 * GATES + LAYER * GATES + 4 * GATES + STATE * GATES;
        let vectors = 4 * (LAYER + GATES + STATE + STATE + 1);
        assert_eq!(STORED.len(), matrices + vectors);
    }
}
