//! Builds from the sources: everything that a checkout can do and an installed `platformer` can't.
//!
//! - [`build`]: static binaries
//! - [`images`]: the images, through the code of `platformer images`
//! - [`pack`]: a sample app as an archive with its config
//! - [`dist`]: release archives
//! - [`demo`]: publishes and starts an app on this machine, without Docker
//!
//! The end-to-end tests use the same functions.

pub mod build;
pub mod demo;
pub mod dist;
pub mod images;
pub mod pack;
mod process;
