//! The inner loop: samples in, samples out, by a table.

use crate::design::Table;

/// Inputs taken at a time: what a stream keeps is this and the filter's length.
const BLOCK: usize = 160;

/// The longest filter, that of 48 kHz.
const MAX_TAPS: usize = 192;

/// Where a stream is.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    table: &'static Table,
    /// The newest `taps − 1` inputs, oldest first, and room for a block.
    window: Box<[i16]>,
    /// The next output's phase, below `up`.
    phase: usize,
    /// Inputs to let pass before the one at which the next output is due.
    wait: usize,
}

impl Filter {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self { table, window: vec![0; table.taps - 1 + BLOCK].into(), phase: 0, wait: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.window.fill(0);
        (self.phase, self.wait) = (0, 0);
    }

    /// How many outputs so many inputs will give now.
    pub(crate) fn output_len(&self, input_len: usize) -> usize {
        let steps = input_len.saturating_sub(self.wait) * self.table.up;
        steps.saturating_sub(self.phase).div_ceil(self.table.down)
    }

    /// The most that so many inputs can give, whatever came before.
    pub(crate) fn max_output_len(&self, input_len: usize) -> usize {
        (input_len * self.table.up).div_ceil(self.table.down)
    }

    /// How many inputs later a sound comes out: the filter's middle.
    pub(crate) fn delay(&self) -> usize {
        self.table.taps / 2
    }

    /// Lets silence in for the time of the delay.
    pub(crate) fn flush(&mut self, output: &mut [i16]) {
        const SILENCE: [i16; MAX_TAPS / 2] = [0; MAX_TAPS / 2];
        let silence = SILENCE.get(..self.delay()).unwrap_or(&SILENCE);
        self.process(silence, output);
    }

    /// Takes all inputs and fills the output, whose length is what [`output_len`](Self::output_len) says.
    pub(crate) fn process(&mut self, input: &[i16], mut output: &mut [i16]) {
        for block in input.chunks(BLOCK) {
            let (now, later) = output.split_at_mut(self.output_len(block.len()).min(output.len()));
            // A length known to the compiler makes a dot product a handful of multiply-and-adds without a loop.
            match self.table.taps {
                32 => self.block::<32>(block, now),
                64 => self.block::<64>(block, now),
                88 => self.block::<88>(block, now),
                96 => self.block::<96>(block, now),
                176 => self.block::<176>(block, now),
                192 => self.block::<192>(block, now),
                _ => debug_assert!(false, "no code for {} taps", self.table.taps),
            }
            output = later;
        }
    }

    fn block<const TAPS: usize>(&mut self, input: &[i16], output: &mut [i16]) {
        let (rows, gain_bits) = (self.table.coefficients.as_chunks::<TAPS>().0, self.table.gain_bits);
        let (skip, turn) = (self.table.down / self.table.up, self.table.down % self.table.up);
        if let Some(fresh) = self.window.get_mut(TAPS - 1..TAPS - 1 + input.len()) {
            fresh.copy_from_slice(input);
        }
        if self.table.down == 1 {
            // 16, 24 and 48 kHz: all phases at each input. The first is the input of half a filter ago as it is.
            let outputs = output.chunks_exact_mut(self.table.up);
            for (inputs, outputs) in self.window.windows(TAPS).zip(outputs) {
                let (Some(inputs), Some((first, between))) =
                    (inputs.first_chunk::<TAPS>(), outputs.split_first_mut())
                else {
                    break;
                };
                *first = inputs[TAPS / 2 - 1];
                for (row, output) in rows.iter().skip(1).zip(between) {
                    *output = dot(row, inputs, gain_bits);
                }
            }
        } else {
            let (mut phase, mut newest) = (self.phase, self.wait);
            for output in output {
                let inputs = self.window.get(newest..).and_then(<[i16]>::first_chunk);
                if let (Some(row), Some(inputs)) = (rows.get(phase), inputs) {
                    *output = dot(row, inputs, gain_bits);
                }
                phase += turn;
                newest += skip;
                if phase >= self.table.up {
                    phase -= self.table.up;
                    newest += 1;
                }
            }
            (self.phase, self.wait) = (phase, newest.saturating_sub(input.len()));
        }
        self.window.copy_within(input.len()..input.len() + TAPS - 1, 0);
    }
}

/// One output. The order of additions doesn't matter to whole numbers, and [`Table`]s are such that no sum overflows.
///
/// Eight sums side by side are what a compiler turns into the vector unit's multiply-and-add of pairs (`pmaddwd`); one
/// plain sum took twice as long.
fn dot<const TAPS: usize>(row: &[i16; TAPS], inputs: &[i16; TAPS], gain_bits: u32) -> i16 {
    let mut sums = [0i32; 8];
    for (row, inputs) in row.as_chunks::<8>().0.iter().zip(inputs.as_chunks::<8>().0) {
        for ((sum, &c), &x) in sums.iter_mut().zip(row).zip(inputs) {
            *sum += i32::from(c) * i32::from(x);
        }
    }
    let rounded = (sums.iter().sum::<i32>() + (1 << (gain_bits - 1))) >> gain_bits;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
