//! Paths of an archive, which must stay inside the tree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Maximum length of a path, in bytes. With the tree's directory, the path stays below the kernel's
/// `PATH_MAX` of 4096.
pub(super) const MAX_PATH: usize = 3072;

/// Maximum depth of directories.
const MAX_DEPTH: usize = 128;

/// The relative path of a name in an archive, or the reason to refuse the name. The tree itself is the
/// empty path.
pub(super) fn inside(raw: &[u8]) -> Result<PathBuf, &'static str> {
    if raw.is_empty() {
        return Err("has an empty name");
    }
    if raw.contains(&0) {
        return Err("has a NUL in its name");
    }
    if raw.len() > MAX_PATH {
        return Err("has a name of more than 3072 bytes");
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(raw)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("leads out of the tree with \"..\""),
            Component::RootDir | Component::Prefix(_) => return Err("is an absolute path"),
        }
    }
    if path.components().count() > MAX_DEPTH {
        return Err("lies more than 128 directories deep");
    }
    Ok(path)
}

/// Whether a link at `path` to `target` stays inside, and every path through the link. `..` is allowed
/// only at the beginning, over directories that are not links. After a name, `..` would start from
/// wherever that name leads.
pub(super) fn link_stays_inside(path: &Path, target: &Path) -> bool {
    let mut above = path.components().count().saturating_sub(1);
    let mut named = false;
    for component in target.components() {
        match component {
            Component::Normal(_) => named = true,
            Component::CurDir => {}
            Component::ParentDir if !named && above > 0 => above -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(inside(b"./a//b/./c/"), Ok(PathBuf::from("a/b/c")));
        assert_eq!(inside(b"./"), Ok(PathBuf::new()));
        for bad in [&b""[..], b"/", b"/a", b"..", b"a/../b", b"a/..", b"a\0b"] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_stay_inside() {
        let stays =
            |path: &str, target: &str| link_stays_inside(Path::new(path), Path::new(target));
        assert!(stays("a", "b") && stays("d/a", "../b") && stays("d/e/a", "../../b"));
        assert!(
            !stays("a", "../b")
                && !stays("d/a", "../../b")
                && !stays("a", "/b")
                && !stays("d/a", "x/../../../b")
        );
        // If `d/l` is a link to `..`, this one would leave the tree.
        assert!(!stays("d/m", "l/.."));
    }
}
