//! Panics: told in one line, counted, survived.

use std::any::Any;

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason was given")
}

/// Has panics logged as one event each, with their place, instead of printed.
pub(crate) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("").to_owned();
        tracing::error!(place, thread, why = words(panic.payload()), "a fault of this program (panic)");
    }));
}
