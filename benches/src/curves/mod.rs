//! Curves and figures of quality, for tables and pictures.

pub mod resample;
