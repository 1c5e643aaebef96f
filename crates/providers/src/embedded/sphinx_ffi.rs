//! PocketSphinx's C interface, version 0.8 (`libpocketsphinx.so.3`), as far as it is needed.
#![allow(unsafe_code, reason = "PocketSphinx is a C library")]

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_short, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use libloading::os::unix::Library;
use offhook_stage_api::Expectation;
use offhook_stages::StageError;

use super::library::{function, load};

const STAGE: &str = "pocketsphinx";
const PACKAGES: &str = "libpocketsphinx3 pocketsphinx-en-us";
/// Grammars that a decoder keeps compiled.
const KEPT_GRAMMARS: usize = 32;

type Ptr = *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    parse: unsafe extern "C" fn(Ptr, *const c_void, c_int, *mut *mut c_char, c_int) -> Ptr,
    args: unsafe extern "C" fn() -> *const c_void,
    init: unsafe extern "C" fn(Ptr) -> Ptr,
    free: unsafe extern "C" fn(Ptr) -> c_int,
    set_jsgf: unsafe extern "C" fn(Ptr, *const c_char, *const c_char) -> c_int,
    set_search: unsafe extern "C" fn(Ptr, *const c_char) -> c_int,
    unset_search: unsafe extern "C" fn(Ptr, *const c_char) -> c_int,
    add_word: unsafe extern "C" fn(Ptr, *const c_char, *const c_char, c_int) -> c_int,
    lookup_word: unsafe extern "C" fn(Ptr, *const c_char) -> *mut c_char,
    start_utt: unsafe extern "C" fn(Ptr) -> c_int,
    process_raw: unsafe extern "C" fn(Ptr, *const c_short, usize, c_int, c_int) -> c_int,
    end_utt: unsafe extern "C" fn(Ptr) -> c_int,
    get_hyp: unsafe extern "C" fn(Ptr, *mut c_int) -> *const c_char,
}

/// What was recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hypothesis {
    pub(super) text: String,
    /// Log score of the whole path, in PocketSphinx's own base; divide by the frames to compare.
    pub(super) score: i32,
}

/// One recogniser with its model: some tens of megabytes. Used by one thread.
pub(super) struct Decoder {
    functions: Functions,
    decoder: Ptr,
    grammars: VecDeque<u64>,
    in_utterance: bool,
    _libraries: [Library; 2],
}

// SAFETY: a decoder has no thread affinity; `&mut self` keeps it to one thread at a time.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn load(
        model: &Path,
        dictionary: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, StageError> {
        let base = load(STAGE, &["libsphinxbase.so.3"], PACKAGES)?;
        let sphinx = load(STAGE, &["libpocketsphinx.so.3"], PACKAGES)?;
        for path in [model, dictionary] {
            if !path.exists() {
                return Err(StageError::Unavailable {
                    stage: STAGE.to_owned(),
                    what: format!("the model {} is not on this machine", path.display()),
                    hint: "on Debian or Ubuntu: apt-get install pocketsphinx-en-us".to_owned(),
                });
            }
        }
        // SAFETY: the types are those of the 0.8 headers.
        let functions = unsafe {
            let quiet: unsafe extern "C" fn(Ptr, Ptr) = function(STAGE, &base, "err_set_callback")?;
            let no_log: unsafe extern "C" fn(Ptr) = function(STAGE, &base, "err_set_logfp")?;
            // It would write its whole configuration to the terminal.
            quiet(ignore_message as *const () as Ptr, std::ptr::null_mut());
            no_log(std::ptr::null_mut());
            Functions {
                parse: function(STAGE, &base, "cmd_ln_parse_r")?,
                args: function(STAGE, &sphinx, "ps_args")?,
                init: function(STAGE, &sphinx, "ps_init")?,
                free: function(STAGE, &sphinx, "ps_free")?,
                set_jsgf: function(STAGE, &sphinx, "ps_set_jsgf_string")?,
                set_search: function(STAGE, &sphinx, "ps_set_search")?,
                unset_search: function(STAGE, &sphinx, "ps_unset_search")?,
                add_word: function(STAGE, &sphinx, "ps_add_word")?,
                lookup_word: function(STAGE, &sphinx, "ps_lookup_word")?,
                start_utt: function(STAGE, &sphinx, "ps_start_utt")?,
                process_raw: function(STAGE, &sphinx, "ps_process_raw")?,
                end_utt: function(STAGE, &sphinx, "ps_end_utt")?,
                get_hyp: function(STAGE, &sphinx, "ps_get_hyp")?,
            }
        };
        let (model, dictionary) = (model.to_string_lossy(), dictionary.to_string_lossy());
        let mut words = vec!["offhook", "-hmm", &model, "-dict", &dictionary, "-samprate", "16000"];
        for (key, value) in settings {
            words.extend([*key, *value]);
        }
        let words: Vec<CString> = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
        let mut argv: Vec<*mut c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
        // SAFETY: the arguments outlive the call, which copies them; a failed parse or init gives null.
        let decoder = unsafe {
            let count = c_int::try_from(argv.len()).unwrap_or(0);
            let config =
                (functions.parse)(std::ptr::null_mut(), (functions.args)(), count, argv.as_mut_ptr(), 1);
            if config.is_null() { config } else { (functions.init)(config) }
        };
        if decoder.is_null() {
            return Err(StageError::Unavailable {
                stage: STAGE.to_owned(),
                what: format!("the recogniser can't be made with the model {model}"),
                hint: "reinstall the package pocketsphinx-en-us".to_owned(),
            });
        }
        let libraries = [sphinx, base];
        Ok(Self { functions, decoder, grammars: VecDeque::new(), in_utterance: false, _libraries: libraries })
    }

    /// Makes this grammar the one to be recognised by.
    pub(super) fn use_grammar(&mut self, expectation: &Expectation) -> Result<(), StageError> {
        let grammar = expectation.grammar.as_deref().unwrap_or("");
        let mut hasher = DefaultHasher::new();
        grammar.hash(&mut hasher);
        let key = hasher.finish();
        let bad = |what: String| StageError::Refused {
            stage: STAGE.to_owned(),
            what,
            hint: "fix the agent's words, or give their pronunciations".to_owned(),
        };
        let c = |text: &str| CString::new(text).map_err(|_| bad("a zero byte in a grammar".to_owned()));
        let name = c(&format!("g{key:016x}"))?;
        self.end();
        let f = self.functions;
        // SAFETY: the decoder is valid and ours; strings outlive the calls, which copy them.
        unsafe {
            if !self.grammars.contains(&key) {
                for (word, phones) in &expectation.pronunciations {
                    let (word, phones) = (c(word)?, c(phones)?);
                    if (f.lookup_word)(self.decoder, word.as_ptr()).is_null() {
                        (f.add_word)(self.decoder, word.as_ptr(), phones.as_ptr(), 1);
                    }
                }
                for word in words_of(grammar) {
                    if !self.knows(word) && !self.learn_plural(word) {
                        return Err(bad(format!("there is no pronunciation of “{word}”")));
                    }
                }
                if (f.set_jsgf)(self.decoder, name.as_ptr(), c(grammar)?.as_ptr()) < 0 {
                    return Err(bad("the grammar was not accepted".to_owned()));
                }
                self.grammars.push_back(key);
                if self.grammars.len() > KEPT_GRAMMARS
                    && let Some(old) = self.grammars.pop_front()
                {
                    (f.unset_search)(self.decoder, c(&format!("g{old:016x}"))?.as_ptr());
                }
            }
            if (f.set_search)(self.decoder, name.as_ptr()) < 0 {
                return Err(bad("the grammar is not there any more".to_owned()));
            }
        }
        Ok(())
    }

    fn pronunciation(&self, word: &str) -> Option<String> {
        let word = CString::new(word).ok()?;
        // SAFETY: the decoder is valid; the text is copied. (The C side gives a copy of its own, of a few bytes, which
        // only its allocator could free: kept, once per new word.)
        unsafe {
            let phones = (self.functions.lookup_word)(self.decoder, word.as_ptr());
            (!phones.is_null()).then(|| CStr::from_ptr(phones).to_string_lossy().into_owned())
        }
    }

    fn knows(&self, word: &str) -> bool {
        self.pronunciation(word).is_some()
    }

    /// A plural that the dictionary lacks is spoken like its singular with the ending that English has for it.
    fn learn_plural(&mut self, word: &str) -> bool {
        let Some((single, phones)) =
            word.strip_suffix('s').and_then(|single| Some((single, self.pronunciation(single)?)))
        else {
            return false;
        };
        let ending = match phones.rsplit(' ').next().unwrap_or("") {
            "S" | "Z" | "SH" | "ZH" | "CH" | "JH" => "IH Z",
            "P" | "T" | "K" | "F" | "TH" => "S",
            _ => "Z",
        };
        tracing::debug!(single, "a plural was learned");
        let (Ok(word), Ok(phones)) = (CString::new(word), CString::new(format!("{phones} {ending}"))) else {
            return false;
        };
        // SAFETY: the decoder is valid; strings outlive the call, which copies them.
        unsafe { (self.functions.add_word)(self.decoder, word.as_ptr(), phones.as_ptr(), 1) >= 0 }
    }

    /// Begins an utterance.
    pub(super) fn start(&mut self) {
        self.end();
        // SAFETY: the decoder is valid and outside of an utterance.
        self.in_utterance = unsafe { (self.functions.start_utt)(self.decoder) } >= 0;
    }

    /// Takes sound at 16 kHz. `whole`: it is the whole utterance, normalised by its own mean.
    pub(super) fn feed(&mut self, samples: &[i16], whole: bool) {
        if self.in_utterance {
            // SAFETY: the decoder is valid and inside an utterance; the samples are read during the call only.
            unsafe {
                (self.functions.process_raw)(
                    self.decoder,
                    samples.as_ptr(),
                    samples.len(),
                    0,
                    c_int::from(whole),
                );
            }
        }
    }

    /// Ends the utterance.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.in_utterance) {
            // SAFETY: the decoder is valid and inside an utterance.
            unsafe {
                (self.functions.end_utt)(self.decoder);
            }
        }
    }

    /// What has been recognised; after the end only what the whole grammar accepts.
    pub(super) fn hypothesis(&mut self) -> Option<Hypothesis> {
        let mut score = 0;
        // SAFETY: the decoder is valid; the text is copied before the decoder is used again.
        unsafe {
            let text = (self.functions.get_hyp)(self.decoder, &raw mut score);
            (!text.is_null())
                .then(|| Hypothesis { text: CStr::from_ptr(text).to_string_lossy().trim().to_owned(), score })
        }
        .filter(|hypothesis| !hypothesis.text.is_empty())
    }
}

/// The words of a JSGF grammar: what is neither syntax, nor a rule's name, nor the header.
fn words_of(grammar: &str) -> impl Iterator<Item = &str> {
    let rules =
        grammar.lines().filter(|line| !line.starts_with('#') && !line.trim_start().starts_with("grammar "));
    rules.flat_map(|line| {
        let line = line.split_once('=').map_or(line, |(_, right)| right);
        line.split(['(', ')', '[', ']', '|', ';', ' ', '\t', '*', '+', '/'])
            .filter(|word| !word.is_empty() && !word.starts_with('<') && !word.ends_with('>'))
    })
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.end();
        // SAFETY: the decoder is valid and not used again.
        unsafe {
            (self.functions.free)(self.decoder);
        }
    }
}

/// `err_cb_f` is variadic in its last arguments, which need not be read.
extern "C" fn ignore_message(_data: Ptr, _level: c_int, _format: *const c_char) {}
