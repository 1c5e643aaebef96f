//! The inner loop: samples in, samples out, by a table.

use crate::design::Table;
use crate::dot;

/// Inputs taken at a time: what a stream keeps is this and the filter's length.
const BLOCK: usize = 160;

/// The longest filter, that of 48 kHz.
const MAX_TAPS: usize = 256;

/// Where a stream is.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    table: &'static Table,
    /// The newest `taps − 1` inputs, oldest first, and room for a block.
    window: Box<[i16]>,
    /// The next output's phase and its row in the table, both below `up`.
    phase: usize,
    row: usize,
    /// Inputs to let pass before the one at which the next output is due.
    wait: usize,
    /// Don't use the vector unit, even where there is one.
    plain: bool,
}

impl Filter {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self {
            table,
            window: vec![0; table.taps - 1 + BLOCK].into(),
            phase: 0,
            row: 0,
            wait: 0,
            plain: false,
        }
    }

    /// For comparing both ways.
    #[cfg(test)]
    pub(crate) const fn plain(&mut self) {
        self.plain = true;
    }

    pub(crate) fn reset(&mut self) {
        self.window.fill(0);
        (self.phase, self.row, self.wait) = (0, 0, 0);
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
                48 => self.block::<48, 16>(block, now),
                96 => self.block::<96, 32>(block, now),
                128 => self.block::<128, 32>(block, now),
                240 => self.block::<240, 48>(block, now),
                256 => self.block::<256, 32>(block, now),
                _ => debug_assert!(false, "no code for {} taps", self.table.taps),
            }
            output = later;
        }
    }

    fn block<const TAPS: usize, const INNER: usize>(&mut self, input: &[i16], output: &mut [i16]) {
        if let Some(fresh) = self.window.get_mut(TAPS - 1..TAPS - 1 + input.len()) {
            fresh.copy_from_slice(input);
        }
        let place = Place { phase: self.phase, row: self.row, newest: self.wait };
        let place = dot::run::<TAPS, INNER>(self.table, &self.window, place, output, self.plain);
        (self.phase, self.row) = (place.phase, place.row);
        self.wait = place.newest.saturating_sub(input.len());
        self.window.copy_within(input.len()..input.len() + TAPS - 1, 0);
    }
}

/// Which phase the next output takes, its row in the table, and the newest input that it needs, counted from the block's first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) phase: usize,
    pub(crate) row: usize,
    pub(crate) newest: usize,
}

/// What an output is made of: its phase's coarse and fine coefficients, and its inputs.
pub(crate) type Terms<'a, const TAPS: usize, const INNER: usize> =
    (&'a [i16; TAPS], &'a [i16; INNER], &'a [i16; TAPS]);

/// All outputs of a block, one by one.
#[inline(always)]
pub(crate) fn one_by_one<const TAPS: usize, const INNER: usize>(
    table: &Table,
    window: &[i16],
    mut place: Place,
    output: &mut [i16],
    one: impl Fn(Terms<'_, TAPS, INNER>) -> i16,
) -> Place {
    let rows = table.coarse.as_chunks::<TAPS>().0;
    let fines = table.fine.as_chunks::<INNER>().0;
    if table.down == 1 {
        // 16, 24 and 48 kHz: all phases at each input. The first is the input of half a filter ago as it is.
        for (inputs, outputs) in window.windows(TAPS).zip(output.chunks_exact_mut(table.up)) {
            let (Some(inputs), Some((first, between))) =
                (inputs.first_chunk::<TAPS>(), outputs.split_first_mut())
            else {
                break;
            };
            *first = inputs[TAPS / 2 - 1];
            for ((row, fine), output) in rows.iter().zip(fines).skip(1).zip(between) {
                *output = one((row, fine, inputs));
            }
        }
        return place;
    }
    let (skip, turn) = (table.down / table.up, table.down % table.up);
    for output in output {
        let inputs = window.get(place.newest..).and_then(<[i16]>::first_chunk);
        if let (Some(row), Some(fine), Some(inputs)) = (rows.get(place.row), fines.get(place.row), inputs) {
            *output = one((row, fine, inputs));
        }
        // Whether a phase wraps is as good as random: no branch.
        place.phase += turn;
        let wraps = usize::from(place.phase >= table.up);
        place.phase -= table.up * wraps;
        place.newest += skip + wraps;
        place.row += 1;
        if place.row == table.up {
            place.row = 0;
        }
    }
    place
}

/// The same, four at a time while there are so many: for ratios at which each output has its own phase.
#[inline(always)]
pub(crate) fn by_fours<const TAPS: usize, const INNER: usize>(
    table: &Table,
    window: &[i16],
    mut place: Place,
    output: &mut [i16],
    four: impl Fn([Terms<'_, TAPS, INNER>; 4]) -> [i16; 4],
    one: impl Fn(Terms<'_, TAPS, INNER>) -> i16,
) -> Place {
    let rows = table.coarse.as_chunks::<TAPS>().0;
    let fines = table.fine.as_chunks::<INNER>().0;
    let (skip, turn) = (table.down / table.up, table.down % table.up);
    let mut next = || -> Option<Terms<'_, TAPS, INNER>> {
        let now = place;
        place.phase += turn;
        let wraps = usize::from(place.phase >= table.up);
        place.phase -= table.up * wraps;
        place.newest += skip + wraps;
        place.row = if place.row + 1 == table.up { 0 } else { place.row + 1 };
        Some((rows.get(now.row)?, fines.get(now.row)?, window.get(now.newest..)?.first_chunk()?))
    };
    let (fours, rest) = output.as_chunks_mut::<4>();
    for output in fours {
        if let [Some(a), Some(b), Some(c), Some(d)] = [next(), next(), next(), next()] {
            *output = four([a, b, c, d]);
        }
    }
    for output in rest {
        if let Some(terms) = next() {
            *output = one(terms);
        }
    }
    place
}
