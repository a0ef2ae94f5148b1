//! Secret files: a file with the name of a variable becomes the variable.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use repository_api::config;

use crate::exit::{Exit, Failure};

/// The directory of Docker and Swarm.
const DEFAULT: &str = "/run/secrets";

/// Reads `directory`, or the default directory if it exists.
pub(super) fn read(directory: Option<&Path>) -> Result<Vec<(OsString, OsString)>, Failure> {
    let (directory, is_required) = match directory {
        Some(directory) => (directory, true),
        None => (Path::new(DEFAULT), false),
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if !is_required && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(directory, error)),
    };
    let mut secrets = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(directory, error))?;
        let name = entry.file_name();
        if !config::is_variable_name(name.as_bytes()) || name.as_bytes().starts_with(b"BOOTSTRAP_")
        {
            tracing::debug!(
                "the secret {} is not a variable: its name is not a variable's",
                name.display()
            );
            continue;
        }
        let path = entry.path();
        // Follows links, which orchestrators use for secrets. Skips pipes, which would block.
        if !fs::metadata(&path)
            .map_err(|error| unreadable(&path, error))?
            .is_file()
        {
            continue;
        }
        let mut value = Vec::new();
        fs::File::open(&path)
            .and_then(|file| {
                file.take(config::MAX_VALUE_BYTES as u64)
                    .read_to_end(&mut value)
            })
            .map_err(|error| unreadable(&path, error))?;
        if value.last() == Some(&b'\n') {
            value.pop();
        }
        if value.contains(&0) {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "the secret {} contains a NUL byte, which a variable cannot: rename the file, and read it as a file",
                    path.display()
                ),
            ));
        }
        secrets.push((name, OsString::from_vec(value)));
    }
    Ok(secrets)
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    Failure::new(
        Exit::Config,
        format!(
            "failed to read the secret {} as uid {user}, gid {group}: make it readable for that user",
            path.display()
        ),
    )
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_variables() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("A", "one\n"),
            ("B", "two\n\n"),
            ("not-a-name", "x"),
            ("BOOTSTRAP_TOKEN", "x"),
            ("C", ""),
        ] {
            fs::write(directory.path().join(name), content).unwrap();
        }
        fs::create_dir(directory.path().join("DIRECTORY")).unwrap();
        let mut secrets = read(Some(directory.path())).unwrap();
        secrets.sort();
        let expected: Vec<(OsString, OsString)> = [("A", "one"), ("B", "two\n"), ("C", "")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        assert_eq!(secrets, expected);
    }

    #[test]
    fn unreadable_secrets_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let missing = read(Some(&directory.path().join("missing"))).unwrap_err();
        assert!(missing.chain().contains("as uid"), "{}", missing.chain());
        fs::write(directory.path().join("A"), "a\0b").unwrap();
        assert!(
            read(Some(directory.path()))
                .unwrap_err()
                .chain()
                .contains("NUL")
        );
    }
}
