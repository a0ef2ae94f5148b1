//! The binaries under test, built from the sources once per run.

use std::path::PathBuf;
use std::sync::OnceLock;

use xtask::build::{self, Binaries, Profile};

static BINARIES: OnceLock<Binaries> = OnceLock::new();
static PROFILE: OnceLock<Profile> = OnceLock::new();

/// Sets the profile of the binaries. Call it before any other function of this module.
pub fn use_profile(profile: Profile) {
    PROFILE.set(profile).expect("set once");
}

fn binaries() -> &'static Binaries {
    BINARIES.get_or_init(|| {
        let profile = *PROFILE.get_or_init(|| Profile::Debug);
        // One call, so that cargo compiles each dependency once.
        let packages: &[&str] = match profile {
            Profile::Debug => &[
                "bootstrap",
                "repository",
                "hello-world",
                "children",
                "platformer",
                "moments",
            ],
            // The benches need only these, and optimised builds are slow.
            Profile::Release => &["bootstrap", "repository", "children"],
        };
        build::build(packages, profile).expect("the binaries under test build")
    })
}

/// Whether the binaries run in every image.
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
