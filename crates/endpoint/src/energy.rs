//! The detector that needs no model.

use offhook_audio::{Dbov, PcmFrame};

use crate::{Detector, NoiseFloor};

/// Energy over the noise floor: cheap, fair in quiet, fooled by any sound that comes and goes.
#[derive(Clone, Debug, Default)]
pub struct Energy {
    floor: NoiseFloor,
}

impl Detector for Energy {
    fn name(&self) -> &'static str {
        "energy"
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        let level = Dbov::of_frame(frame);
        let over = level.0 - self.floor.push(level).0;
        // 12 dB over the floor is an even chance.
        ((over - 4.0) / 16.0).clamp(0.0, 1.0)
    }

    fn reset(&mut self) {
        self.floor = NoiseFloor::default();
    }
}
