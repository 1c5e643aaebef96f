//! Dialogs without a model: intents, slots, confirmation, digression and fallback, declared in TOML.
