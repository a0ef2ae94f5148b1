//! Comparison of unpacked archives with the listings of GNU tar, bsdtar and Python.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use platformer_tests::skip::skip;

use platformer_tests::tree::Entry;

/// Prints kind, size and name of each entry, one per line.
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

/// Asserts that three other programs list the same content for each accepted archive.
pub(super) fn assert_same_listing(accepted: &[(String, Vec<u8>, BTreeMap<PathBuf, Entry>)]) {
    for program in ["python3", "bsdtar"] {
        if Command::new(program).arg("--version").output().is_err() {
            skip(&format!("{program} is not installed"));
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
                .map(|i| u8::from_str_radix(&name[i..i + 2], 16).unwrap());
            python.push((
                kind.chars().next().unwrap(),
                size.parse::<usize>().unwrap(),
                normalize(&bytes.collect::<Vec<u8>>()),
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
            let entry = tree.get(Path::new(std::ffi::OsStr::from_bytes(name)));
            let entry = entry.unwrap_or_else(|| {
                panic!(
                    "{what}: python lists {kind} {}",
                    String::from_utf8_lossy(name)
                )
            });
            let expected = if *kind == 'h' { 'f' } else { *kind };
            assert_eq!(entry.kind, expected, "{what}");
            assert!(*kind != 'f' || entry.content.len() == *size, "{what}");
        }
        for (name, entry) in tree.iter().filter(|(_, entry)| entry.kind != 'd') {
            let known = python
                .iter()
                .any(|(_, _, other)| other == name.as_os_str().as_bytes());
            assert!(
                known,
                "{what}: python does not list {} {entry:?}",
                name.display()
            );
        }
        let names: Vec<Vec<u8>> = python.into_iter().map(|(_, _, name)| name).collect();
        assert_eq!(
            lines(Command::new("bsdtar").arg("-tf").arg(path)),
            comparable(&names),
            "{what}: bsdtar"
        );
        let gnu = lines(
            Command::new("tar")
                .args(["--quoting-style=literal", "-tf"])
                .arg(path),
        );
        assert_eq!(gnu, comparable(&names), "{what}: GNU tar");
    }
}

/// Removes `.` and double or final slashes.
fn normalize(name: &[u8]) -> Vec<u8> {
    let path: PathBuf = Path::new(std::ffi::OsStr::from_bytes(name))
        .components()
        .filter(|component| *component != std::path::Component::CurDir)
        .collect();
    path.as_os_str().as_bytes().to_vec()
}

/// Returns the comparable lines of the output of a program.
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
        .map(normalize)
        .collect();
    comparable(&lines)
}

/// Drops names that a program may quote, such as names with line feeds.
fn comparable(names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let plain = |name: &&Vec<u8>| {
        !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
    };
    names.iter().filter(plain).cloned().collect()
}
