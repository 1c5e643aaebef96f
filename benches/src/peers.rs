//! Other people's resamplers, to be measured beside ours.
//!
//! libsoxr and speexdsp are looked for when the program runs (Debian: `libsoxr0`, `libspeexdsp1`), so that everything
//! builds without them; what isn't there is left out.

use std::ffi::{c_char, c_double, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

use audioadapter_buffers::owned::InterleavedOwned;
use libloading::{Library, Symbol};
use rubato::audioadapter::Adapter as _;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// libsoxr at its default, "high quality" (20 bits), with its own sample format, 32-bit float.
#[derive(Debug)]
pub struct Soxr {
    process: ProcessSoxr,
    delete: unsafe extern "C" fn(*mut c_void),
    state: *mut c_void,
    input: Vec<f32>,
    output: Vec<f32>,
    // Last, so that it is unloaded after use.
    _library: Library,
}

type ProcessSoxr = unsafe extern "C" fn(
    *mut c_void,
    *const c_void,
    usize,
    *mut usize,
    *mut c_void,
    usize,
    *mut usize,
) -> *const c_char;
type CreateSoxr = unsafe extern "C" fn(
    c_double,
    c_double,
    c_uint,
    *mut *const c_char,
    *const c_void,
    *const c_void,
    *const c_void,
) -> *mut c_void;

impl Soxr {
    /// `None` if the library isn't there or doesn't know the rates.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Option<Self> {
        // SAFETY: libsoxr has no initialiser with demands; the symbols have the types of its public header soxr.h.
        unsafe {
            let library = Library::new("libsoxr.so.0").ok()?;
            let create: Symbol<'_, CreateSoxr> = library.get(b"soxr_create").ok()?;
            let process = *library.get(b"soxr_process").ok()?;
            let delete = *library.get(b"soxr_delete").ok()?;
            let state = create(from.into(), to.into(), 1, null_mut(), null(), null(), null());
            (!state.is_null()).then(|| Self {
                process,
                delete,
                state,
                input: Vec::new(),
                output: vec![0.0; 1 << 16],
                _library: library,
            })
        }
    }

    /// Appends what comes out: nothing for long, then much.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        self.input.clear();
        self.input.extend(input.iter().map(|&sample| f32::from(sample) / 32_768.0));
        let count = self.process_floats();
        output.extend(self.output.iter().take(count).map(|sample| (sample * 32_768.0).round() as i16));
    }

    /// Takes floats as it likes them, and returns how many came out: only the library's own time.
    pub fn process_own(&mut self, input: &[f32]) -> usize {
        self.input.clear();
        self.input.extend_from_slice(input);
        self.process_floats()
    }

    fn process_floats(&mut self) -> usize {
        let (mut taken, mut given) = (0, 0);
        // SAFETY: the state is alive, the buffers have the lengths told, and hold the floats that were agreed by default.
        unsafe {
            (self.process)(
                self.state,
                self.input.as_ptr().cast(),
                self.input.len(),
                &raw mut taken,
                self.output.as_mut_ptr().cast(),
                self.output.len(),
                &raw mut given,
            )
        };
        given
    }
}

impl Drop for Soxr {
    fn drop(&mut self) {
        // SAFETY: made by `soxr_create`, deleted once.
        unsafe { (self.delete)(self.state) }
    }
}

/// speexdsp with 16-bit samples.
#[derive(Debug)]
pub struct Speex {
    process: ProcessSpeex,
    destroy: unsafe extern "C" fn(*mut c_void),
    state: *mut c_void,
    output: Vec<i16>,
    _library: Library,
}

type ProcessSpeex = unsafe extern "C" fn(*mut c_void, u32, *const i16, *mut u32, *mut i16, *mut u32) -> c_int;
type InitSpeex = unsafe extern "C" fn(u32, u32, u32, c_int, *mut c_int) -> *mut c_void;

impl Speex {
    /// At a quality from 0 to 10. `None` if the library isn't there or doesn't know the rates.
    #[must_use]
    pub fn new(from: u32, to: u32, quality: i32) -> Option<Self> {
        // SAFETY: speexdsp has no initialiser with demands; the symbols have the types of its header speex_resampler.h.
        unsafe {
            let library = Library::new("libspeexdsp.so.1").ok()?;
            let init: Symbol<'_, InitSpeex> = library.get(b"speex_resampler_init").ok()?;
            let process = *library.get(b"speex_resampler_process_int").ok()?;
            let destroy = *library.get(b"speex_resampler_destroy").ok()?;
            let state = init(1, from, to, quality, null_mut());
            (!state.is_null()).then(|| Self {
                process,
                destroy,
                state,
                output: vec![0; 1 << 16],
                _library: library,
            })
        }
    }

    /// Appends what comes out.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        for input in input.chunks(1 << 12) {
            let (mut taken, mut given) = (input.len() as u32, self.output.len() as u32);
            // SAFETY: the state is alive and the buffers have the lengths told.
            unsafe {
                (self.process)(
                    self.state,
                    0,
                    input.as_ptr(),
                    &raw mut taken,
                    self.output.as_mut_ptr(),
                    &raw mut given,
                )
            };
            output.extend(self.output.iter().take(given as usize));
        }
    }
}

impl Drop for Speex {
    fn drop(&mut self) {
        // SAFETY: made by `speex_resampler_init`, destroyed once.
        unsafe { (self.destroy)(self.state) }
    }
}

/// rubato's synchronous FFT resampler with its default window, in chunks of about 20 ms.
pub struct Rubato {
    resampler: Fft<f32>,
    input: InterleavedOwned<f32>,
    output: InterleavedOwned<f32>,
    waiting: Vec<i16>,
}

impl std::fmt::Debug for Rubato {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rubato").field("chunk", &self.chunk()).finish_non_exhaustive()
    }
}

impl Rubato {
    /// `None` for rates that it refuses.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Option<Self> {
        // One FFT a chunk. By default it takes shorter ones, whose pass-band ends at 2.5 kHz from 48 to 8 kHz.
        let (chunk, window) = (from as usize / 50, WindowFunction::BlackmanHarris2);
        let resampler =
            Fft::<f32>::new_custom(from as usize, to as usize, chunk, 1, 1, window, FixedSync::Input).ok()?;
        let input = InterleavedOwned::new(0.1, 1, resampler.input_frames_next());
        let output = InterleavedOwned::new(0.0, 1, resampler.output_frames_max());
        Some(Self { resampler, input, output, waiting: Vec::new() })
    }

    /// How many samples it takes at a time: not always 20 ms.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// Converts the chunk that is in its buffer: only its own time.
    pub fn process_own(&mut self) -> usize {
        self.resampler.process_into_buffer(&self.input, &mut self.output, None).map_or(0, |(_, given)| given)
    }

    /// Appends what comes out of all whole chunks.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        self.waiting.extend_from_slice(input);
        let chunk = self.chunk();
        while self.waiting.len() >= chunk {
            let floats = self.waiting.drain(..chunk).map(|sample| f32::from(sample) / 32_768.0).collect();
            let Ok(buffer) = InterleavedOwned::new_from(floats, 1, chunk) else { return };
            self.input = buffer;
            let given = self.process_own();
            let floats = (0..given).filter_map(|n| self.output.read_sample(0, n));
            output.extend(floats.map(|sample| (sample * 32_768.0).round() as i16));
        }
    }
}
