//! What the pictures of calls and recordings are drawn on.

use std::path::Path;

use anyhow::Context;
use embedded_graphics::Drawable;
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Pixel, Point, RgbColor, Size};
use embedded_graphics::text::{Baseline, Text};

pub(crate) const WIDTH: usize = 1_600;

pub(crate) const INK: Rgb888 = Rgb888::new(0x22, 0x26, 0x2B);
pub(crate) const FAINT: Rgb888 = Rgb888::new(0x8A, 0x90, 0x98);
pub(crate) const GRID: Rgb888 = Rgb888::new(0xE6, 0xE8, 0xEB);
pub(crate) const CALLER: Rgb888 = Rgb888::new(0x00, 0x72, 0xB2);
pub(crate) const CALLER_SPAN: Rgb888 = Rgb888::new(0xE3, 0xF0, 0xF8);
pub(crate) const MARK: Rgb888 = Rgb888::new(0xCC, 0x33, 0x55);

/// Pixels, white at first, [`WIDTH`] wide.
pub(crate) struct Canvas {
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    pub(crate) fn new(height: usize) -> Self {
        Self { height, pixels: vec![0xFF; WIDTH * height * 3] }
    }

    pub(crate) fn set(&mut self, x: usize, y: usize, colour: Rgb888) {
        if x < WIDTH
            && y < self.height
            && let Some(pixel) = self.pixels.get_mut((y * WIDTH + x) * 3..(y * WIDTH + x) * 3 + 3)
        {
            pixel.copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
        }
    }

    pub(crate) fn fill(&mut self, x: std::ops::Range<usize>, y: std::ops::Range<usize>, colour: Rgb888) {
        for row in y {
            for column in x.clone() {
                self.set(column, row, colour);
            }
        }
    }

    /// Writes text, cut to a width in pixels.
    pub(crate) fn text(
        &mut self,
        text: &str,
        x: usize,
        y: usize,
        width: usize,
        font: &MonoFont<'_>,
        colour: Rgb888,
    ) {
        let room = width / 7;
        let plain: String = text.chars().map(plain_letter).collect();
        let cut: String = if plain.chars().count() <= room {
            plain
        } else {
            plain.chars().take(room.saturating_sub(2)).chain("..".chars()).collect()
        };
        let place = Point::new(i32::try_from(x).unwrap_or(0), i32::try_from(y).unwrap_or(0));
        let style = MonoTextStyle::new(font, colour);
        // Drawing on this canvas can't fail.
        let _infallible = Text::with_baseline(&cut, place, style, Baseline::Top).draw(self);
    }

    /// Writes it as PNG.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let file = std::fs::File::create(path).with_context(|| format!("can't write {}", path.display()))?;
        let height = u32::try_from(self.height).context("it is too long for a picture")?;
        let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), WIDTH as u32, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&self.pixels)?;
        Ok(())
    }
}

/// The font has Latin-1 only.
fn plain_letter(letter: char) -> char {
    match letter {
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        '–' | '—' => '-',
        letter if (letter as u32) < 0x100 && !letter.is_control() => letter,
        _ => '?',
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(WIDTH as u32, u32::try_from(self.height).unwrap_or(u32::MAX))
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(place, colour) in pixels {
            if let (Ok(x), Ok(y)) = (usize::try_from(place.x), usize::try_from(place.y)) {
                self.set(x, y, colour);
            }
        }
        Ok(())
    }
}
