//! The time until the app starts, for bootstrap and for the shell scripts that it replaces.
//!
//! Each fetches from the same repository on loopback and starts the same program, which prints its start time. The scripts verify the artefact, and one unpacks and hashes it during the download.
#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use platformer_tests::archive::{Entry, Tar, gzip_default, zstd_default};
use platformer_tests::binaries;
use platformer_tests::bombs::bombs;
use platformer_tests::dice::Dice;
use platformer_tests::fixture::digest;
use platformer_tests::measure::{median, milliseconds, now, ratio, rounds};
use platformer_tests::server::Server;
use xtask::build::Profile;

const ROUNDS: usize = 9;
const VERSION: &str = "1.0.0";

/// An artefact, and the shell commands that unpack it.
struct Case {
    app: &'static str,
    description: &'static str,
    file: String,
    artefact: Vec<u8>,
    program: &'static str,
    /// Unpacks the file `a`.
    unpack: &'static str,
    /// Unpacks standard input.
    unpack_stream: &'static str,
    /// Only decompresses `a`.
    decompress: Option<&'static str>,
}

fn main() {
    binaries::use_profile(Profile::Release);
    let probe = fs::read(binaries::probe()).unwrap();
    let cases = cases(&probe);
    let places = [
        ("tmpfs", PathBuf::from("/dev/shm")),
        ("disk", std::env::temp_dir()),
    ];
    for (kind, place) in places {
        let storage = tempfile::tempdir().unwrap();
        let server = Server::start(storage.path());
        println!(
            "\non {kind} ({}), medians of {ROUNDS} rounds",
            place.display()
        );
        println!(
            "{:<26}{:>12}{:>20}{:>20}{:>14}{:>14}{:>14}",
            "",
            "bootstrap",
            "curl, then tar",
            "curl | tar",
            "warm start",
            "plain exec",
            "decompress"
        );
        let home = tempfile::tempdir_in(&place).unwrap();
        for case in &cases {
            publish(&server, case);
            compare(&server, case, home.path(), &probe);
        }
    }
    memory();
    refusals();
}

fn cases(probe: &[u8]) -> Vec<Case> {
    let small = small_files(probe);
    let jar: Vec<u8> = Dice::new(1).noise(100 << 20);
    let mut script = b"#!/bin/sh\nexec \"$PROBE\" now\n".to_vec();
    script.resize(1024, b'#');
    vec![
        Case {
            app: "small-gz",
            description: "10,000 files, tar.gz",
            file: format!("small-gz-{VERSION}.tar.gz"),
            artefact: gzip_default(&small),
            program: "./probe",
            unpack: "tar xzf a",
            unpack_stream: "tar xz",
            decompress: Some("gzip -dc a"),
        },
        Case {
            app: "small-zst",
            description: "10,000 files, tar.zst",
            file: format!("small-zst-{VERSION}.tar.zst"),
            artefact: zstd_default(&small),
            program: "./probe",
            unpack: "tar --zstd -xf a",
            unpack_stream: "tar --zstd -x",
            decompress: Some("zstd -dc a"),
        },
        Case {
            app: "big",
            description: "a jar of 100 MiB",
            file: format!("big-{VERSION}.jar"),
            artefact: jar,
            program: "$PROBE",
            unpack: ":",
            unpack_stream: "cat > a",
            decompress: None,
        },
        Case {
            app: "script",
            description: "a script of 1 KiB",
            file: format!("script-{VERSION}"),
            artefact: script,
            program: "./script-1.0.0",
            unpack: "mv a script-1.0.0 && chmod 755 script-1.0.0",
            unpack_stream: "cat > script-1.0.0 && chmod 755 script-1.0.0",
            decompress: None,
        },
    ]
}

/// 10,000 files of 0.5 to 7.5 KiB in 100 directories, which compress like source code.
fn small_files(probe: &[u8]) -> Vec<u8> {
    let words: Vec<String> = Dice::new(1)
        .noise(4096)
        .chunks(4)
        .map(|chunk| {
            chunk
                .iter()
                .map(|byte| char::from(b'a' + byte % 26))
                .collect()
        })
        .collect();
    let picks = Dice::new(1).noise(1 << 20);
    let mut tar = Tar::default();
    tar.push(&Entry::file("probe", probe).mode(0o755));
    let mut pick = picks.iter().cycle();
    for number in 0..10_000_usize {
        let size = 512 + number % 15 * 512;
        let mut text = String::with_capacity(size + 8);
        while text.len() < size {
            let (high, low) = (*pick.next().unwrap(), *pick.next().unwrap());
            text.push_str(&words[usize::from(high % 4) << 8 | usize::from(low)]);
            text.push(if low % 9 == 0 { '\n' } else { ' ' });
        }
        tar.push(&Entry::file(
            format!("lib/{:02}/module-{number}.py", number / 100),
            text,
        ));
    }
    tar.finish()
}

fn publish(server: &Server, case: &Case) {
    let path = format!("/artefacts/{}/{VERSION}/{}", case.app, case.file);
    server.publish(&path, &case.artefact);
    let config = format!("STARTUP_COMMAND='{} now'\n", case.program);
    server.publish(&format!("/config/{}/{}.config", case.app, case.app), config);
}

/// The time from the start of a command to the start of the program.
fn time(command: &mut Command) -> Duration {
    let begin = now();
    let output = command.env("PROBE", binaries::probe()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let start = text.lines().last().and_then(|line| line.parse().ok());
    let Some(start) = start else {
        panic!(
            "{command:?}: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Duration::from_nanos(start).saturating_sub(begin)
}

fn compare(server: &Server, case: &Case, place: &Path, probe: &[u8]) {
    let url = format!(
        "http://{}/artefacts/{}/{VERSION}/{}",
        server.address, case.app, case.file
    );
    let sum = digest(&case.artefact);
    let program = case.program;
    let in_steps = format!(
        "curl -fsS '{url}' -o a && echo '{sum}  a' | sha256sum -c --status && {} && exec {program} now",
        case.unpack
    );
    let streamed = format!(
        "set -o pipefail; curl -fsS '{url}' | tee >(sha256sum > sum) | ({}) && while [ ! -s sum ]; do :; done && [ \"$(cut -c1-64 sum)\" = {sum} ] && exec {program} now",
        case.unpack_stream
    );
    let shell = |script: &str| {
        let home = fresh(place);
        let took = time(Command::new("bash").args(["-c", script]).current_dir(&home));
        truncate_files(&home);
        took
    };
    let bootstrap = |directory: &Path| {
        time(
            Command::new(binaries::bootstrap())
                .args([case.app, &server.address.to_string()])
                .env("BOOTSTRAP_DIR", directory),
        )
    };
    let warm = fresh(place);
    bootstrap(&warm);
    let direct = fresh(place).join("probe");
    fs::write(&direct, probe).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&direct, mode).unwrap();
    let packed = fresh(place);
    fs::write(packed.join("a"), &case.artefact).unwrap();
    let decompress = |command: &str| {
        let begin = now();
        let script = format!("{command} > /dev/null");
        let status = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&packed)
            .status()
            .unwrap();
        assert!(status.success(), "{script}");
        now().saturating_sub(begin)
    };
    let figures = rounds(
        ROUNDS,
        &mut [
            &mut || {
                let home = fresh(place);
                let took = bootstrap(&home);
                truncate_files(&home);
                took
            },
            &mut || shell(&in_steps),
            &mut || shell(&streamed),
            &mut || bootstrap(&warm),
            &mut || time(Command::new(&direct).arg("now")),
            // The lower bound of every pipeline.
            &mut || case.decompress.map_or(Duration::ZERO, decompress),
        ],
    );
    let [ours, in_steps, streamed, warm, exec, decompress]: [Duration; 6] = figures
        .iter()
        .map(|figures| median(figures))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    println!(
        "{:<26}{:>12}{:>20}{:>20}{:>14}{:>14}{:>14}",
        case.description,
        milliseconds(ours),
        format!("{} {}", milliseconds(in_steps), ratio(in_steps, ours)),
        format!("{} {}", milliseconds(streamed), ratio(streamed, ours)),
        milliseconds(warm),
        milliseconds(exec),
        case.decompress
            .map_or(String::new(), |_| milliseconds(decompress)),
    );
}

/// Creates a directory in `place`.
fn fresh(place: &Path) -> PathBuf {
    tempfile::tempdir_in(place).unwrap().keep()
}

/// Truncates the files of a tree, so that the next round reuses their memory. It does not delete them,
/// because ext4 creates files slowly after many deletions.
fn truncate_files(tree: &Path) {
    for entry in fs::read_dir(tree).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            truncate_files(&entry.path());
        } else if kind.is_file() {
            fs::write(entry.path(), "").unwrap();
        }
    }
}

/// The peak memory for artefacts of several sizes.
fn memory() {
    println!("\npeak memory of bootstrap fetch");
    let storage = tempfile::tempdir_in("/dev/shm").unwrap();
    let server = Server::start(storage.path());
    for (app, kind) in [("tar", "tar.gz"), ("jar", "jar")] {
        for mebibytes in [1, 10, 100, 400] {
            let content = Dice::new(1).noise(mebibytes << 20);
            let file = format!("{app}-{mebibytes}.0.0.{kind}");
            let artefact = if kind == "jar" {
                content
            } else {
                gzip_default(&Tar::new([Entry::file("content", content)]).finish())
            };
            server.publish(
                &format!("/artefacts/{app}/{mebibytes}.0.0/{file}"),
                artefact,
            );
            server.publish(
                &format!("/config/{app}/{app}.config"),
                "STARTUP_COMMAND=x\n",
            );
            let home = tempfile::tempdir_in("/dev/shm").unwrap();
            let output = Command::new(binaries::probe())
                .arg("peak")
                .arg(binaries::bootstrap())
                .args([
                    "fetch",
                    &format!("{app}@{mebibytes}.0.0"),
                    &server.address.to_string(),
                ])
                .env("BOOTSTRAP_DIR", home.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8_lossy(&output.stdout);
            let peak = text.lines().last().unwrap();
            println!("{kind:<8}{mebibytes:>5} MiB{peak:>10} KiB");
        }
    }
}

/// The time and the memory until a bomb is refused.
fn refusals() {
    println!("\nbombs, with limits of 1 GiB and 50,000 entries");
    let storage = tempfile::tempdir_in("/dev/shm").unwrap();
    let server = Server::start(storage.path());
    for (number, (reason, bomb)) in (1..).zip(bombs()) {
        let file = format!("bomb-{number}.0.0.tar.gz");
        server.publish(&format!("/artefacts/bomb/{number}.0.0/{file}"), &bomb);
        server.publish("/config/bomb/bomb.config", "STARTUP_COMMAND=x\n");
        let home = tempfile::tempdir_in("/dev/shm").unwrap();
        let begin = now();
        let output = Command::new(binaries::probe())
            .arg("peak")
            .arg(binaries::bootstrap())
            .args([
                "fetch",
                &format!("bomb@{number}.0.0"),
                &server.address.to_string(),
            ])
            .env("BOOTSTRAP_DIR", home.path())
            .env("BOOTSTRAP_MAX_UNPACKED", "1GiB")
            .env("BOOTSTRAP_MAX_ENTRIES", "50000")
            .output()
            .unwrap();
        let took = now().saturating_sub(begin);
        assert_eq!(output.status.code(), Some(65), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let peak = text.lines().last().unwrap();
        println!("{reason:<28}{:>12}{peak:>10} KiB", milliseconds(took));
    }
}
