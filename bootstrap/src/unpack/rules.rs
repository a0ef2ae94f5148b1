//! Limits and owners of what is unpacked.

use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, fchown};

use crate::exit::Failure;
use crate::settings::Limits;

/// Rules of unpacking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// The app's group, if the tree is root's and the app only reads it.
    pub(crate) readers: Option<Gid>,
}

impl Rules {
    /// The mode of a file or directory: readers may do what the owner may, except write.
    pub(super) fn mode(self, mode: u32) -> u32 {
        match self.readers {
            None => mode,
            Some(_) => (mode & 0o755) | ((mode & 0o500) >> 3),
        }
    }

    /// Opens the tree's root to the readers, whatever the umask and the archive say.
    pub(crate) fn open_to_readers(self, tree: &Path) -> Result<(), Failure> {
        if self.readers.is_none() {
            return Ok(());
        }
        let cannot = |error: nix::Error| Failure::cannot_write(tree, error);
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let root = open(tree, flags, Mode::empty()).map_err(cannot)?;
        let mode = fstat(&root).map_err(cannot)?.st_mode;
        self.hand_over(&root)
            .and_then(|()| fchmod(&root, Mode::from_bits_truncate(self.mode(mode & 0o777))))
            .map_err(cannot)
    }

    /// Gives a file or directory to the readers' group.
    pub(super) fn hand_over(self, file: impl AsFd) -> nix::Result<()> {
        match self.readers {
            None => Ok(()),
            group => fchown(file, None, group),
        }
    }
}
