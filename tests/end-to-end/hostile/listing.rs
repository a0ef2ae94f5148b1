//! What was accepted, as GNU tar, bsdtar and Python list it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use platformer_tests::skip::without;

use platformer_tests::tree::Seen;

/// Lists names with their kinds and sizes, one a line.
const PYTHON: &str = r#"
import sys, tarfile
for path in sys.argv[1:]:
    with tarfile.open(path) as archive:
        for member in archive:
            kind = "d" if member.isdir() else "l" if member.issym() else "h" if member.islnk() else "f" if member.isreg() else "?"
            name = member.name.encode("utf-8", "surrogateescape").hex()
            print(kind, member.size if kind == "f" else 0, name)
    print("=")
"#;

/// What was accepted holds what three other programs say that it holds.
pub(super) fn everybody_reads_the_same(accepted: &[(String, Vec<u8>, BTreeMap<PathBuf, Seen>)]) {
    for program in ["python3", "bsdtar"] {
        if Command::new(program).arg("--version").output().is_err() {
            let package = if program == "bsdtar" {
                "libarchive-tools"
            } else {
                program
            };
            return without(&format!("{program} (install {package})"));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (number, (_, tar, _)) in accepted.iter().enumerate() {
        let path = directory.path().join(format!("{number}.tar"));
        fs::write(&path, tar).unwrap();
        paths.push(path);
    }
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .args(&paths)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<&str> = text.split("=\n").collect();
    assert_eq!(
        listed.len(),
        accepted.len() + 1,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for ((path, (what, _, tree)), listed) in paths.iter().zip(accepted).zip(listed) {
        let mut python = Vec::new();
        for line in listed.lines() {
            let mut words = line.split(' ');
            let (kind, size, name) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap_or(""),
            );
            let bytes = (0..name.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&name[at..at + 2], 16).unwrap());
            python.push((
                kind.chars().next().unwrap(),
                size.parse::<usize>().unwrap(),
                normal(&bytes.collect::<Vec<u8>>()),
            ));
        }
        for (kind, size, name) in &python {
            let last = python
                .iter()
                .rev()
                .find(|(_, _, other)| other == name)
                .unwrap();
            if (last.0, last.1) != (*kind, *size) {
                continue;
            }
            let seen = tree.get(Path::new(std::ffi::OsStr::from_bytes(name)));
            let seen = seen.unwrap_or_else(|| {
                panic!(
                    "{what}: python lists {kind} {}",
                    String::from_utf8_lossy(name)
                )
            });
            let expected = if *kind == 'h' { 'f' } else { *kind };
            assert_eq!(seen.kind, expected, "{what}");
            assert!(*kind != 'f' || seen.content.len() == *size, "{what}");
        }
        for (name, seen) in tree.iter().filter(|(_, seen)| seen.kind != 'd') {
            let known = python
                .iter()
                .any(|(_, _, other)| other == name.as_os_str().as_bytes());
            assert!(
                known,
                "{what}: python does not list {} {seen:?}",
                name.display()
            );
        }
        let names: Vec<Vec<u8>> = python.into_iter().map(|(_, _, name)| name).collect();
        assert_eq!(
            lines(Command::new("bsdtar").arg("-tf").arg(path)),
            shown(&names),
            "{what}: bsdtar"
        );
        let gnu = lines(
            Command::new("tar")
                .args(["--quoting-style=literal", "-tf"])
                .arg(path),
        );
        assert_eq!(gnu, shown(&names), "{what}: GNU tar");
    }
}

/// Without `.` and double or final slashes.
fn normal(name: &[u8]) -> Vec<u8> {
    let path: PathBuf = Path::new(std::ffi::OsStr::from_bytes(name))
        .components()
        .filter(|component| *component != std::path::Component::CurDir)
        .collect();
    path.as_os_str().as_bytes().to_vec()
}

/// What a program prints, by line; names that hold a line feed or what a program shows in its own way
/// are left out on both sides.
fn lines(command: &mut Command) -> Vec<Vec<u8>> {
    let output = command.env("LC_ALL", "C").output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Vec<u8>> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .map(normal)
        .collect();
    shown(&lines)
}

fn shown(names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let plain = |name: &&Vec<u8>| {
        !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
    };
    names.iter().filter(plain).cloned().collect()
}
