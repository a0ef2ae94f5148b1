//! The first hour with a release archive, on a machine with Docker but without Rust and without a checkout.

use std::process::Command;

use platformer_tests::platform::{self, Platform};
use platformer_tests::{binaries, docker};
use xtask::{build, dist};

use super::{first_hour, packed};

#[test]
fn the_command_without_its_archive_completes_words_and_reports_missing_files() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("platformer");
    std::fs::copy(binaries::platformer(), &program).unwrap();
    let run = |words: &[&str]| {
        let output = Command::new(&program).args(words).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };

    let (code, script) = run(&["completions", "bash"]);
    assert_eq!(code, Some(0));
    let path = directory.path().join("completions.bash");
    std::fs::write(&path, script).unwrap();
    let checked = Command::new("bash").arg("-n").arg(path).status().unwrap();
    assert!(checked.success());

    let (code, error) = run(&["images"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("there is no bootstrap in"), "{error}");
    let (code, error) = run(&["depoly"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("'deploy'"), "{error}");
}

#[test]
fn the_first_hour_from_an_archive() {
    platform::require_compose();
    let directory = tempfile::tempdir().unwrap();
    // Archives the binaries that the images contain. So `platformer images` does not change the images, which other
    // tests use at the same time.
    let shipped = build::build(&["bootstrap", "repository"], docker::PROFILE).unwrap();
    let archive = dist::write(
        directory.path(),
        std::env::consts::ARCH,
        &[
            ("bootstrap", shipped.path("bootstrap")),
            ("platformer", binaries::platformer()),
            ("repository", shipped.path("repository")),
        ],
    )
    .unwrap();
    let unpacked = Command::new("tar")
        .current_dir(&directory)
        .args(["--strip-components=1", "-xzf"])
        .arg(archive)
        .status();
    assert!(unpacked.unwrap().success());
    let platform = Platform::training_of(directory.path().join("platformer"));

    platform.succeed(&["images"]);
    platform.succeed(&["up", "training"]);
    let (dist, version) = packed("hello-world");
    first_hour::publish(&platform, dist.path(), &version);
    first_hour::deploy(&platform);
    first_hour::configure_and_roll_back(&platform);
    let shown = platform.succeed(&["deploy", "hello-world", "--again", "--dry-run"]);
    let checkout = build::root().unwrap().display().to_string();
    assert!(
        shown.contains("/app.yml") && !shown.contains(&checkout),
        "{shown}"
    );
    platform.succeed(&["down"]);
}
