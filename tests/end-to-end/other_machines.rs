//! Binaries for 64-bit ARM, run by the user mode of qemu.

use std::path::Path;
use std::process::Command;

use platformer_tests::fixture::{APP, App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::run;
use platformer_tests::skip::{require_program, skip};
use xtask::build;

const TARGET: &str = "aarch64-unknown-linux-musl";
const QEMU: &str = "qemu-aarch64-static";

#[test]
fn bootstrap_and_repository_run_on_64_bit_arm() {
    let there = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        output.is_ok_and(|output| output.status.success())
    };
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    if !Path::new(libraries.trim()).is_dir() {
        skip("the target is not installed (rustup target add aarch64-unknown-linux-musl)");
    }
    if !there("aarch64-linux-gnu-gcc", "--version") {
        skip(
            "aarch64-linux-gnu-gcc is not installed (install gcc-aarch64-linux-gnu and libc6-dev-arm64-cross)",
        );
    }
    require_program(QEMU, "qemu-user-static");
    let root = build::root().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |target| root.join(target));
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&root)
        .args([
            "build",
            "--quiet",
            "--package",
            "bootstrap",
            "--target",
            TARGET,
        ])
        .status();
    assert!(built.unwrap().success(), "it builds");
    let program = target.join(TARGET).join("debug/bootstrap");
    let program = program.to_str().unwrap();
    let path = [("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];

    let mock = Mock::start();
    let app = App::script("true");
    app.publish(&mock);
    let home = Bootstrap::with(&[]);
    let environment = [path[0].clone(), ("BOOTSTRAP_DIR".into(), home.dir().into())];
    let fetched = run::spawn(
        QEMU.as_ref(),
        &[program, "fetch", APP, &mock.address().to_string()],
        &environment,
    )
    .wait();
    fetched.expect(0).says("verified");

    let echoed = run::spawn(
        QEMU.as_ref(),
        &[program, "init", "--", "sh", "-c", "echo started; exit 5"],
        &path,
    )
    .wait();
    assert_eq!(echoed.expect(5).stdout, "started\n");
}
