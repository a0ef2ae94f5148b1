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
        let packages = [
            "bootstrap",
            "repository",
            "hello-world",
            "children",
            "platformer",
        ];
        build::build(&packages, *PROFILE.get_or_init(|| Profile::Debug))
            .expect("the binaries under test build")
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
