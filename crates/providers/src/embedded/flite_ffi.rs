//! flite's C interface, as far as it is needed (flite 2.x: `flite.h`, `cst_wave.h`, `cst_item.h`).
#![allow(unsafe_code, reason = "flite is a C library")]

use std::ffi::{CStr, CString, c_char, c_float, c_int, c_short, c_void};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::Library;
use offhook_stage_api::TimedWord;
use offhook_stages::StageError;

use super::flite::{SynthResult, Voice};
use super::library::{function, load};

const STAGE: &str = "flite";
const PACKAGE: &str = "libflite1";

/// `struct cst_wave_struct`.
#[repr(C)]
struct Wave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *mut c_short,
}

type Ptr = *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    synth_text: unsafe extern "C" fn(*const c_char, Ptr) -> Ptr,
    utt_wave: unsafe extern "C" fn(Ptr) -> *mut Wave,
    delete_utterance: unsafe extern "C" fn(Ptr),
    utt_relation: unsafe extern "C" fn(Ptr, *const c_char) -> Ptr,
    relation_head: unsafe extern "C" fn(Ptr) -> Ptr,
    item_next: unsafe extern "C" fn(Ptr) -> Ptr,
    ffeature_float: unsafe extern "C" fn(Ptr, *const c_char) -> c_float,
    ffeature_string: unsafe extern "C" fn(Ptr, *const c_char) -> *const c_char,
}

/// A voice, ready to speak. flite's voices keep state, so one text is spoken at a time.
pub(super) struct Engine {
    functions: Functions,
    voice: Mutex<VoicePtr>,
    /// Keeps the code in memory.
    _libraries: Vec<Library>,
}

struct VoicePtr(Ptr);

// SAFETY: a flite voice has no thread affinity; the mutex around it keeps it to one thread at a time.
unsafe impl Send for VoicePtr {}

impl Engine {
    pub(super) fn load(voice: Voice) -> Result<Self, StageError> {
        let name = voice.name();
        let flite = load(STAGE, &["libflite.so.1"], PACKAGE)?;
        let mut libraries = vec![
            load(STAGE, &["libflite_usenglish.so.1"], PACKAGE)?,
            load(STAGE, &["libflite_cmulex.so.1"], PACKAGE)?,
        ];
        let file = match voice {
            Voice::Awb => "libflite_cmu_us_awb.so.1",
            Voice::Kal => "libflite_cmu_us_kal.so.1",
            Voice::Kal16 => "libflite_cmu_us_kal16.so.1",
            Voice::Rms => "libflite_cmu_us_rms.so.1",
            Voice::Slt => "libflite_cmu_us_slt.so.1",
        };
        let voice_library = load(STAGE, &[file], PACKAGE)?;
        // SAFETY: the types are those of flite's headers.
        let (functions, voice) = unsafe {
            let init: unsafe extern "C" fn() -> c_int = function(STAGE, &flite, "flite_init")?;
            let register: unsafe extern "C" fn(*const c_char) -> Ptr =
                function(STAGE, &voice_library, &format!("register_cmu_us_{name}"))?;
            let functions = Functions {
                synth_text: function(STAGE, &flite, "flite_synth_text")?,
                utt_wave: function(STAGE, &flite, "utt_wave")?,
                delete_utterance: function(STAGE, &flite, "delete_utterance")?,
                utt_relation: function(STAGE, &flite, "utt_relation")?,
                relation_head: function(STAGE, &flite, "relation_head")?,
                item_next: function(STAGE, &flite, "item_next")?,
                ffeature_float: function(STAGE, &flite, "ffeature_float")?,
                ffeature_string: function(STAGE, &flite, "ffeature_string")?,
            };
            init();
            (functions, register(std::ptr::null()))
        };
        if voice.is_null() {
            return Err(StageError::Unavailable {
                stage: STAGE.to_owned(),
                what: format!("the voice `{name}` can't be made"),
                hint: format!("reinstall the package {PACKAGE}"),
            });
        }
        libraries.extend([voice_library, flite]);
        Ok(Self { functions, voice: Mutex::new(VoicePtr(voice)), _libraries: libraries })
    }

    /// Speaks a text.
    pub(super) fn speak(&self, text: &str) -> Result<SynthResult, StageError> {
        let garbage = |what: &str| StageError::Garbage { stage: STAGE.to_owned(), what: what.to_owned() };
        let c_text = CString::new(text.replace('\0', " ")).map_err(|_| garbage("a text with a zero byte"))?;
        let voice = self.voice.lock().unwrap_or_else(PoisonError::into_inner);
        let f = &self.functions;
        // SAFETY: the voice is valid and ours alone while locked; the utterance is read before it is deleted; the
        // wave belongs to the utterance, and its `num_samples` mono samples are copied.
        unsafe {
            let utterance = (f.synth_text)(c_text.as_ptr(), voice.0);
            if utterance.is_null() {
                return Err(garbage("no utterance"));
            }
            let wave = (f.utt_wave)(utterance).as_ref();
            let samples = match wave {
                Some(wave) if wave.num_channels == 1 && wave.num_samples > 0 && !wave.samples.is_null() => {
                    std::slice::from_raw_parts(wave.samples, usize::try_from(wave.num_samples).unwrap_or(0))
                        .to_vec()
                }
                _ => Vec::new(),
            };
            let rate = wave.map_or(16_000, |wave| u32::try_from(wave.sample_rate).unwrap_or(16_000));
            let words = self.words(utterance);
            (f.delete_utterance)(utterance);
            Ok(SynthResult { rate, samples, words })
        }
    }

    /// When each token of the text is spoken.
    ///
    /// # Safety
    /// `utterance` must be a synthesised utterance.
    unsafe fn words(&self, utterance: Ptr) -> Vec<TimedWord> {
        let f = &self.functions;
        let mut words = Vec::new();
        // SAFETY: relation and items live as long as the utterance; a missing feature reads as 0.
        unsafe {
            let relation = (f.utt_relation)(utterance, c"Token".as_ptr());
            if relation.is_null() {
                return words;
            }
            let mut token = (f.relation_head)(relation);
            while !token.is_null() {
                let start = (f.ffeature_float)(
                    token,
                    c"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end".as_ptr(),
                );
                let end = (f.ffeature_float)(
                    token,
                    c"daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end".as_ptr(),
                );
                let name = (f.ffeature_string)(token, c"name".as_ptr());
                if !name.is_null() && end > 0.0 {
                    let word = CStr::from_ptr(name).to_string_lossy().into_owned();
                    let ms = |seconds: c_float| (seconds.max(0.0) * 1_000.0) as u32;
                    words.push(TimedWord { word, start_ms: ms(start), end_ms: ms(end.max(start)) });
                }
                token = (f.item_next)(token);
            }
        }
        words
    }
}
