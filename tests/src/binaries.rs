//! The binaries under test, built once a run from the sources at hand.

use std::path::PathBuf;
use std::sync::OnceLock;

use xtask::build::{self, Binaries, Profile};

static BINARIES: OnceLock<Binaries> = OnceLock::new();
static PROFILE: OnceLock<Profile> = OnceLock::new();

/// Sets how the binaries are built, before the first of them is asked for.
pub fn use_profile(profile: Profile) {
    PROFILE.set(profile).expect("set once");
}

fn binaries() -> &'static Binaries {
    BINARIES.get_or_init(|| {
        let profile = *PROFILE.get_or_init(|| Profile::Debug);
        // Built by one call, so that each dependency is compiled once.
        let packages: &[&str] = match profile {
            Profile::Debug => &[
                "bootstrap",
                "repository",
                "hello-world",
                "children",
                "platformer",
                "moments",
            ],
            // The benches need no more, and optimising takes long.
            Profile::Release => &["bootstrap", "repository", "children"],
        };
        build::build(packages, profile).expect("the binaries under test build")
    })
}

/// Whether the binaries run in any image.
pub fn are_static() -> bool {
    binaries().is_static
}

pub fn bootstrap() -> PathBuf {
    binaries().path("bootstrap")
}

pub fn repository() -> PathBuf {
    binaries().path("repository")
}

pub fn probe() -> PathBuf {
    binaries().path("probe")
}

pub fn web() -> PathBuf {
    binaries().path("web")
}

pub fn platformer() -> PathBuf {
    binaries().path("platformer")
}

/// The sample app moments.
pub fn moments() -> PathBuf {
    binaries().path("moments")
}
