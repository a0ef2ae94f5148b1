//! The images, from the sources.

use anyhow::ensure;
use platformer::images;

use crate::build::{self, Profile};

/// Builds the static binaries, and the images from them.
pub fn build(profile: Profile) -> anyhow::Result<()> {
    images::build(|| {
        let binaries = build::build(&["bootstrap", "repository"], profile)?;
        ensure!(
            binaries.is_static,
            "images need static binaries, and the musl target isn't installed. Run: rustup target add {}",
            build::static_target(std::env::consts::ARCH)
        );
        Ok(binaries.directory)
    })
}
