//! The stack files and Dockerfiles that `platformer` carries, so that it works without its checkout.
//!
//! - [`stack_file`] returns the path of a stack file, for docker. The path stays valid, so that a user can run a line
//!   from `--dry-run` later.
//! - [`write`] writes all files as in the checkout, for `docker build`.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::NamedTempFile;

struct File {
    /// Its path in the checkout.
    path: &'static str,
    content: &'static str,
    is_executable: bool,
}

macro_rules! file {
    ($path:literal) => {
        file!($path, false)
    };
    ($path:literal, executable) => {
        file!($path, true)
    };
    ($path:literal, $is_executable:literal) => {
        File {
            path: $path,
            content: include_str!(concat!("../../", $path)),
            is_executable: $is_executable,
        }
    };
}

const FILES: &[File] = &[
    file!("app-base/Dockerfile"),
    file!("app-base/jre.Dockerfile"),
    file!("app-base/nginx.Dockerfile"),
    file!("app-base/python.Dockerfile"),
    file!("app-base/static.Dockerfile"),
    file!("platform/app.production.yml"),
    file!("platform/app.training.yml"),
    file!("platform/app.yml"),
    file!("platform/loadbalancer/Dockerfile"),
    file!("platform/loadbalancer/nginx.conf"),
    file!("platform/loadbalancer/no_such_name.js"),
    file!("platform/platform.yml"),
    file!("platform/production.s3.yml"),
    file!("platform/production.yml"),
    file!("platform/redis/Dockerfile"),
    file!("platform/toolbox/Dockerfile"),
    file!("platform/toolbox/curl-repository", executable),
    file!("platform/toolbox/refuse-connections", executable),
    file!("platform/training.yml"),
    file!("repository/Dockerfile"),
];

/// The path of a stack file such as `platform.yml`, below the user's cache directory.
pub(crate) fn stack_file(name: &str) -> anyhow::Result<PathBuf> {
    let directory = cache_directory()?.join(identity());
    let path = directory.join("platform").join(name);
    ensure!(
        FILES
            .iter()
            .any(|file| Path::new("platform").join(name) == Path::new(file.path)),
        "platformer carries no stack file {name}"
    );
    write(&directory)?;
    Ok(path)
}

/// Writes every embedded file below `directory`; a file that has its content already stays untouched.
pub(crate) fn write(directory: &Path) -> anyhow::Result<()> {
    for file in FILES {
        let path = directory.join(file.path);
        file.write(&path)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

impl File {
    /// Replaces the file in one step: another `platformer` may be reading it.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        if fs::read(path).is_ok_and(|known| known == self.content.as_bytes()) {
            return Ok(());
        }
        let directory = path.parent().context("the path has no directory")?;
        fs::create_dir_all(directory)?;
        let mut temporary = NamedTempFile::new_in(directory)?;
        temporary.write_all(self.content.as_bytes())?;
        // Images copy the mode, so it must not depend on the user's umask.
        let mode = if self.is_executable { 0o755 } else { 0o644 };
        temporary
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        temporary.persist(path)?;
        Ok(())
    }
}

/// `$XDG_CACHE_HOME/platformer`, or `~/.cache/platformer`. Never a directory that other users may write to.
fn cache_directory() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))
        .context(
            "can't store the stack files, because neither XDG_CACHE_HOME nor HOME is set. Set HOME",
        )?;
    Ok(base.join("platformer"))
}

/// Names this set of files, so that two versions of `platformer` do not overwrite each other's.
fn identity() -> String {
    let mut hasher = DefaultHasher::new();
    for file in FILES {
        (file.path, file.content).hash(&mut hasher);
    }
    format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use super::*;

    /// An installed `platformer` has only the embedded files.
    #[test]
    fn every_stack_file_and_image_context_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let names = |directory: &str| {
            fs::read_dir(root.join(directory))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file())
                .map(|path| path.strip_prefix(root).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        let directories = [
            "app-base",
            "platform",
            "platform/loadbalancer",
            "platform/redis",
            "platform/toolbox",
        ];
        let found: BTreeSet<String> = directories
            .into_iter()
            .flat_map(names)
            // The first needs the sources; the second belongs to the crate.
            .filter(|path| path != "app-base/builder.Dockerfile" && path != "platform/Cargo.toml")
            .chain(["repository/Dockerfile".to_owned()])
            .collect();
        let embedded: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(embedded, found);
    }

    #[test]
    fn files_are_written_with_their_mode_and_restored_after_an_edit() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        let mode = |path: &str| {
            let metadata = fs::metadata(directory.path().join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode("platform/toolbox/curl-repository"), 0o755);
        assert_eq!(mode("platform/platform.yml"), 0o644);

        let edited = directory.path().join("platform/platform.yml");
        fs::write(&edited, "edited").unwrap();
        write(directory.path()).unwrap();
        assert_eq!(
            fs::read_to_string(&edited).unwrap(),
            include_str!("../platform.yml")
        );
    }
}
