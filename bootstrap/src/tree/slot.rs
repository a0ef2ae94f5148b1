//! The place of a tree in the directory: `{digest}`, or `{digest}.N` beside trees in use.

use std::fmt;
use std::path::{Path, PathBuf};

use repository_api::Digest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) digest: Digest,
    pub(super) number: u32,
}

impl Slot {
    pub(super) fn first(digest: Digest) -> Self {
        Self { digest, number: 0 }
    }

    /// The slot to try when an app runs in this slot.
    pub(super) fn next(self) -> Self {
        Self {
            number: self.number + 1,
            ..self
        }
    }

    pub(super) fn tree(self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    pub(super) fn inventory(self, dir: &Path) -> PathBuf {
        dir.join(format!(".inventory-{self}"))
    }

    pub(super) fn lock(self, dir: &Path) -> PathBuf {
        dir.join(format!(".lock-{self}"))
    }

    /// The slot of a lock file, by the file's name.
    pub(super) fn of_lock(name: &str) -> Option<Self> {
        Self::named(name.strip_prefix(".lock-")?)
    }

    /// The slot of an inventory, by the file's name.
    pub(super) fn of_inventory(name: &str) -> Option<Self> {
        Self::named(name.strip_prefix(".inventory-")?)
    }

    fn named(name: &str) -> Option<Self> {
        let (digest, number) = name.split_once('.').unwrap_or((name, "0"));
        let slot = Self {
            digest: digest.parse().ok()?,
            number: number.parse().ok()?,
        };
        (slot.to_string() == name).then_some(slot)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => self.digest.fmt(f),
            number => write!(f, "{}.{number}", self.digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_files_name_their_slot() {
        let digest = Digest::new([7; 32]);
        let first = Slot::first(digest);
        for slot in [first, first.next(), first.next().next()] {
            assert_eq!(Slot::of_lock(&format!(".lock-{slot}")), Some(slot));
        }
        for other in [
            ".lock".to_owned(),
            ".lock-x".to_owned(),
            format!(".lock-{digest}.0"),
            format!(".lock-{digest}.x"),
            format!(".inventory-{digest}"),
        ] {
            assert_eq!(Slot::of_lock(&other), None, "{other}");
        }
    }
}
