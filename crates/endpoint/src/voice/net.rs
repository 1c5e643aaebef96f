//! The network: a layer, a gated recurrent unit (Cho et al., 2014), one probability.
//!
//! Weights are bytes with a scale for each output. What they are multiplied with is rounded to 16 bits, so that sums of products
//! are whole numbers: the same on every machine, in whatever order, and two products at once where a processor can. What stays in
//! floating point runs in one fixed order, without fused operations.

use std::sync::OnceLock;

use super::features::FEATURES;
use super::math::{sigmoid, tanh};
use super::whole::{Multiply, Pair, Rows, round};

/// Width of the layer.
const LAYER: usize = 48;
/// Width of the memory.
const STATE: usize = 64;
const GATES: usize = 3;

/// Steps in a feature's or a layer's value of 1: they stay under 32.
const FINE: f32 = 1_024.0;
/// Steps in a memory's value of 1, which is the most.
const FINEST: f32 = 16_384.0;

/// What `training/train.py` writes: for each matrix the scales of its outputs, then its bytes, input by input; then the
/// other vectors, all little endian.
static STORED: &[u8] = include_bytes!("weights.bin");

/// The shipped weights, as they are multiplied: some 25 KiB.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    layer: Matrix<{ FEATURES / 2 }, LAYER>,
    input: [Matrix<{ LAYER / 2 }, STATE>; GATES],
    memory: [Matrix<{ STATE / 2 }, STATE>; GATES],
    layer_bias: [f32; LAYER],
    input_bias: [[f32; STATE]; GATES],
    memory_bias: [f32; STATE],
    output: [f32; STATE],
    output_bias: f32,
}

/// A matrix of bytes, two inputs side by side, and the worth of a product of steps for each output.
#[derive(Clone, Debug, PartialEq)]
struct Matrix<const PAIRS: usize, const OUT: usize> {
    rows: Box<Rows<PAIRS, OUT>>,
    worth: [f32; OUT],
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
        let [layer] = rest.matrices(FINE);
        Self {
            layer,
            input: rest.matrices(FINE),
            memory: rest.matrices(FINEST),
            layer_bias: rest.vector(),
            input_bias: [(); GATES].map(|()| rest.vector()),
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

    /// Matrices whose outputs lie side by side.
    fn matrices<const MATRICES: usize, const PAIRS: usize, const OUT: usize>(
        &mut self,
        steps: f32,
    ) -> [Matrix<PAIRS, OUT>; MATRICES] {
        let mut all =
            [(); MATRICES].map(|()| Matrix { rows: Box::new([[[0; 2]; OUT]; PAIRS]), worth: self.vector() });
        for matrix in &mut all {
            matrix.worth = matrix.worth.map(|scale| scale / steps);
        }
        for input in 0..2 * PAIRS {
            for matrix in &mut all {
                for (pair, octet) in matrix.rows[input / 2].iter_mut().zip(self.take(OUT)) {
                    pair[input % 2] = octet.cast_signed();
                }
            }
        }
        all
    }
}

/// The network's memory of one stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Memory([f32; STATE]);

impl Memory {
    pub(crate) const fn new() -> Self {
        Self([0.0; STATE])
    }

    /// Forgets this share of everything.
    #[inline(always)]
    pub(crate) fn fade(&mut self, share: f32) {
        for value in &mut self.0 {
            *value -= *value * share;
        }
    }

    /// The probability of speech in the frame with these features.
    #[inline(always)]
    pub(crate) fn step(&mut self, weights: &Weights, features: &[f32; FEATURES], by: impl Multiply) -> f32 {
        let mut layer = weights.layer_bias;
        weights.layer.multiply_add(&round(features, FINE), &mut layer, by);
        for value in &mut layer {
            *value = value.max(0.0);
        }
        let (layer, state) = (round(&layer, FINE), round(&self.0, FINEST));
        let mut input = weights.input_bias;
        let mut memory = [[0.0; STATE], [0.0; STATE], weights.memory_bias];
        for gate in 0..GATES {
            weights.input[gate].multiply_add(&layer, &mut input[gate], by);
            weights.memory[gate].multiply_add(&state, &mut memory[gate], by);
        }
        let mut strands = [0.0; 8];
        for n in 0..STATE {
            let keep = sigmoid(input[0][n] + memory[0][n]);
            let reset = sigmoid(input[1][n] + memory[1][n]);
            let fresh = tanh(input[2][n] + reset * memory[2][n]);
            self.0[n] = keep * self.0[n] + (1.0 - keep) * fresh;
        }
        for (values, weights) in self.0.as_chunks::<8>().0.iter().zip(weights.output.as_chunks::<8>().0) {
            for n in 0..8 {
                strands[n] += values[n] * weights[n];
            }
        }
        sigmoid(strands.iter().fold(weights.output_bias, |sum, strand| sum + strand))
    }
}

impl<const PAIRS: usize, const OUT: usize> Matrix<PAIRS, OUT> {
    /// `out += matrix · vector`, `vector` in steps.
    #[inline(always)]
    fn multiply_add(&self, vector: &[Pair; PAIRS], out: &mut [f32; OUT], by: impl Multiply) {
        let sums = by.multiply(&self.rows, vector);
        for ((out, sum), worth) in out.iter_mut().zip(sums).zip(self.worth) {
            *out += sum as f32 * worth;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_weights_are_whole() {
        const WIDE: usize = GATES * STATE;
        let matrices = 4 * LAYER + FEATURES * LAYER + 4 * WIDE + LAYER * WIDE + 4 * WIDE + STATE * WIDE;
        let vectors = 4 * (LAYER + WIDE + STATE + STATE + 1);
        assert_eq!(STORED.len(), matrices + vectors);
    }
}
