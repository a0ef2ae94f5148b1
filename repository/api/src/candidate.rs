//! The choice of a version's artefact for a machine.
//!
//! 1. the candidate: `{app}[-_]{version}` with an optional `[-_]{architecture}` and an archive ending. A
//!    candidate that names the architecture comes before one that names none
//! 2. the only file of the version
//! 3. otherwise an error that lists the artefacts

use crate::names::{AppName, VersionName};
use crate::release::Artefact;

/// Endings of archives. A longer ending comes before its own end.
pub const ARCHIVE_ENDINGS: [&str; 5] = [".tar.gz", ".tgz", ".tar.zst", ".tar", ".tzst"];

/// The spellings of the architectures in file names, by `std::env::consts::ARCH`.
fn spellings(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "x86_64" => &["x86_64", "amd64"],
        "aarch64" => &["aarch64", "arm64"],
        _ => &[],
    }
}

/// No artefact, or more than one, is meant for the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no artefact of {app} {version} is meant for this machine ({architecture}): the version has {}; publish one as {app}-{version}-{architecture}.tar.gz",
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
)]
pub struct Ambiguous {
    app: AppName,
    version: VersionName,
    architecture: String,
    names: Vec<String>,
}

/// Chooses the artefact for an architecture, spelled like `std::env::consts::ARCH`.
pub fn choose<'a>(
    artefacts: &'a [Artefact],
    app: &AppName,
    version: &VersionName,
    architecture: &str,
) -> Result<&'a Artefact, Ambiguous> {
    let mut fitting: Vec<(u8, &Artefact)> = artefacts
        .iter()
        .filter_map(|artefact| {
            rank(artefact.file.as_str(), app, version, architecture).map(|rank| (rank, artefact))
        })
        .collect();
    fitting.sort_by(|left, right| {
        left.0
            .cmp(&right.0)
            .then_with(|| left.1.file.cmp(&right.1.file))
    });
    match fitting.as_slice() {
        [] => {}
        [(_, only)] => return Ok(only),
        [(first, artefact), (second, _), ..] if first < second => return Ok(artefact),
        _ => return Err(ambiguous(artefacts, app, version, architecture)),
    }
    match artefacts {
        [only] => Ok(only),
        _ => Err(ambiguous(artefacts, app, version, architecture)),
    }
}

fn ambiguous(
    artefacts: &[Artefact],
    app: &AppName,
    version: &VersionName,
    architecture: &str,
) -> Ambiguous {
    Ambiguous {
        app: app.clone(),
        version: version.clone(),
        architecture: architecture.to_owned(),
        names: artefacts
            .iter()
            .map(|artefact| artefact.file.to_string())
            .collect(),
    }
}

/// 0 for a candidate that names the architecture, 1 for one that names none; `None` for other files.
fn rank(file: &str, app: &AppName, version: &VersionName, architecture: &str) -> Option<u8> {
    let separated = |text: &'_ str| text.strip_prefix(['-', '_']).map(str::to_owned);
    let rest = separated(file.strip_prefix(app.as_str())?)?;
    let rest = rest.strip_prefix(version.as_str())?;
    let ending = ARCHIVE_ENDINGS
        .into_iter()
        .find(|ending| rest.ends_with(ending))?;
    let middle = rest.strip_suffix(ending)?;
    if middle.is_empty() {
        return Some(1);
    }
    let named = separated(middle)?;
    spellings(architecture)
        .contains(&named.as_str())
        .then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: &[&str]) -> Option<String> {
        let artefacts: Vec<Artefact> = files
            .iter()
            .map(|file| Artefact {
                file: file.parse().unwrap(),
                size: 1,
                sha256: crate::Digest::new([0; 32]),
            })
            .collect();
        let (app, version) = ("hello".parse().unwrap(), "1.0.0".parse().unwrap());
        choose(&artefacts, &app, &version, "x86_64")
            .ok()
            .map(|artefact| artefact.file.to_string())
    }

    #[test]
    fn the_machine_s_own_comes_first() {
        let cases: [(&[&str], Option<&str>); 9] = [
            (&["hello-1.0.0.tar.gz"], Some("hello-1.0.0.tar.gz")),
            (&["hello_1.0.0.tgz", "notes.txt"], Some("hello_1.0.0.tgz")),
            (
                &["hello-1.0.0.tar", "hello-1.0.0-amd64.tar.zst"],
                Some("hello-1.0.0-amd64.tar.zst"),
            ),
            (
                &["hello-1.0.0-aarch64.tar.gz", "hello-1.0.0_x86_64.tar.gz"],
                Some("hello-1.0.0_x86_64.tar.gz"),
            ),
            (&["run.sh"], Some("run.sh")),
            (&["a.txt", "b.txt"], None),
            (&["hello-1.0.0.tar.gz", "hello-1.0.0.tar.zst"], None),
            (&["hello-1.0.0-arm64.tgz", "hello-1.0.0-riscv64.tgz"], None),
            (&[], None),
        ];
        for (files, expected) in cases {
            assert_eq!(chosen(files).as_deref(), expected, "{files:?}");
        }
    }
}
