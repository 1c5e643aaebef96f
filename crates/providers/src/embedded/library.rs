//! C libraries, loaded at run time.
#![allow(unsafe_code, reason = "loading a C library runs its initialisers, which no compiler can check")]

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use offhook_stages::StageError;

/// Loads the first of these libraries that is there, and makes its symbols visible to those that need it.
pub(super) fn load(stage: &str, names: &[&str], package: &str) -> Result<Library, StageError> {
    let mut last = String::new();
    for name in names {
        // SAFETY: flite and sphinxbase have no initialisers that depend on anything of ours.
        match unsafe { Library::open(Some(*name), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(library) => return Ok(library),
            Err(error) => last = error.to_string(),
        }
    }
    Err(StageError::Unavailable {
        stage: stage.to_owned(),
        what: format!("the library {} is not on this machine ({last})", names.join(" or ")),
        hint: format!("on Debian or Ubuntu: apt-get install {package}"),
    })
}

/// Finds a function. `T` must be its type.
///
/// # Safety
/// The caller vouches for `T`.
pub(super) unsafe fn function<T: Copy>(stage: &str, library: &Library, name: &str) -> Result<T, StageError> {
    // SAFETY: the caller vouches for the type.
    match unsafe { library.get::<T>(name.as_bytes()) } {
        Ok(symbol) => Ok(*symbol),
        Err(error) => Err(StageError::Unavailable {
            stage: stage.to_owned(),
            what: format!("the library lacks `{name}` ({error})"),
            hint: "install the version that Debian or Ubuntu has".to_owned(),
        }),
    }
}
