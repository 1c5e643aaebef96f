//! Silero's network from an ONNX file, on a pure-Rust runtime.

use std::path::Path;
use std::sync::Arc;

use offhook_audio::{FRAME_SAMPLES, PcmFrame};
use offhook_endpoint::Detector;
use rten::{Model, NodeId, Value, ValueOrView};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use crate::DetectorError;

/// Samples at 8 kHz that it takes at a time, 32 ms, and those before them that it sees again.
const WINDOW: usize = 256;
const CONTEXT: usize = 32;
const STATE: [usize; 3] = [2, 1, 128];

/// Silero VAD, versions 5 and 6 (inputs `input`, `state`, `sr`; outputs the probability and the next state), at 8 kHz.
///
/// Frames are gathered into its windows; a frame gets its newest window's probability. 60 µs and more a window: for judging
/// recordings, or on a thread of its own. The file isn't part of this crate; the project publishes it under the MIT licence.
#[expect(missing_debug_implementations, reason = "the network has nothing to show")]
pub struct Silero {
    model: Arc<Model>,
    inputs: [NodeId; 3],
    outputs: [NodeId; 2],
    state: NdTensor<f32, 3>,
    /// The context, and what has come since, −1 to 1.
    waiting: Vec<f32>,
    probability: f32,
}

impl Silero {
    /// Reads a model file and tries it once on silence.
    ///
    /// # Errors
    /// If the file can't be read, or isn't such a network.
    pub fn open(file: &Path) -> Result<Self, DetectorError> {
        let fail = |why: String| DetectorError::Model { file: file.display().to_string(), why };
        let model = Model::load_file(file).map_err(|error| fail(error.to_string()))?;
        let node = |name: &str| {
            model
                .find_node(name)
                .ok_or_else(|| fail(format!("it has no input `{name}`, as Silero 5 and 6 have")))
        };
        let inputs = [node("input")?, node("state")?, node("sr")?];
        let &[probability, state, ..] = model.output_ids() else {
            return Err(fail("it has fewer than two outputs".into()));
        };
        let mut silero = Self {
            model: Arc::new(model),
            inputs,
            outputs: [probability, state],
            state: NdTensor::zeros(STATE),
            waiting: vec![0.0; CONTEXT],
            probability: 0.0,
        };
        silero.run(&[0.0; CONTEXT + WINDOW]).map_err(fail)?;
        silero.reset();
        Ok(silero)
    }

    fn run(&mut self, samples: &[f32]) -> Result<f32, String> {
        let input = NdTensor::from_data([1, samples.len()], samples.to_vec());
        let rate = NdTensor::<i32, 0>::from_data([], vec![8_000]);
        let [a, b, c] = self.inputs;
        let inputs: Vec<(NodeId, ValueOrView<'_>)> =
            vec![(a, input.view().into()), (b, self.state.view().into()), (c, rate.view().into())];
        let outputs = self.model.run(inputs, &self.outputs, None).map_err(|error| error.to_string())?;
        let mut outputs = outputs.into_iter();
        let (Some(Value::FloatTensor(probability)), Some(Value::FloatTensor(state))) =
            (outputs.next(), outputs.next())
        else {
            return Err("its outputs are no floats".into());
        };
        self.state = state.try_into().map_err(|_| "its state has another shape".to_owned())?;
        probability.iter().next().copied().ok_or_else(|| "its output is empty".to_owned())
    }
}

impl Detector for Silero {
    fn name(&self) -> &'static str {
        "silero"
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        self.waiting.extend(frame.0.iter().map(|&sample| f32::from(sample) / 32_768.0));
        while self.waiting.len() >= CONTEXT + WINDOW {
            let samples: Vec<f32> = self.waiting.iter().take(CONTEXT + WINDOW).copied().collect();
            // It ran on silence when it was opened: with the same shapes it runs again.
            self.probability = self.run(&samples).unwrap_or(0.0);
            self.waiting.drain(..WINDOW);
        }
        debug_assert!(self.waiting.len() < CONTEXT + WINDOW + FRAME_SAMPLES);
        self.probability
    }

    fn reset(&mut self) {
        self.state = NdTensor::zeros(STATE);
        self.waiting.clear();
        self.waiting.resize(CONTEXT, 0.0);
        self.probability = 0.0;
    }
}
