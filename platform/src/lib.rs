//! The parts of `platformer`, which the end-to-end tests use too.

pub mod build;
pub mod demo;
pub mod images;
pub mod pack;
mod process;
