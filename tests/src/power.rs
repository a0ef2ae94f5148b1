//! A disk whose power can be cut: ext4 in a file, shut down without a flush of the journal (`EXT4_IOC_SHUTDOWN`). The
//! next mount shows what had reached the disk.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::skip::skip;

const DISK_BYTES: u64 = 512 << 20;

/// An ext4 file system in a file, mounted through a loop device.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    /// Number of times that the power came back. Each time, a copy of the image is mounted.
    copies: u32,
    is_mounted: bool,
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

impl Disk {
    /// Creates and mounts a disk. Skips the current test without root or `mkfs.ext4`.
    pub fn new() -> Self {
        Self::with_size(DISK_BYTES)
    }

    pub fn with_size(bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Self {
            directory,
            copies: 0,
            is_mounted: false,
        };
        std::fs::create_dir(disk.mount_point()).unwrap();
        let image = disk.image();
        File::create(&image).unwrap().set_len(bytes).unwrap();
        let image = image.display().to_string();
        if !succeeds("mkfs.ext4", &["-q", "-F", &image]) || !disk.mount() {
            skip(
                "an ext4 file system cannot be created and mounted (run as root, and install e2fsprogs)",
            );
        }
        disk
    }

    pub fn mount_point(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join(format!("image-{}", self.copies))
    }

    fn mount(&mut self) -> bool {
        let image = self.image().display().to_string();
        let point = self.mount_point().display().to_string();
        self.is_mounted = succeeds("mount", &["-o", "loop", &image, &point]);
        self.is_mounted
    }

    /// Stops all writes to the disk, and discards data that has not reached it.
    pub fn cut_power(&self) {
        // _IOR('X', 125, __u32), and EXT4_GOING_FLAGS_NOLOGFLUSH.
        const EXT4_IOC_SHUTDOWN: u32 = 0x8004_587d;
        let flags: u32 = 2;
        let root = File::open(self.mount_point()).unwrap();
        #[expect(unsafe_code, reason = "the C library has no wrapper for this ioctl")]
        let failed =
            unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN.into(), &raw const flags) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    }

    /// Mounts the data that had reached the disk.
    ///
    /// A mount namespace of another test, or a child between fork and exec, may still use the dead file system. Then
    /// mounting the same device would return the dead file system. So `power_on` mounts a copy of the image.
    pub fn power_on(&mut self) {
        let dead = self.image();
        self.unmount();
        self.copies += 1;
        let (from, to) = (
            dead.display().to_string(),
            self.image().display().to_string(),
        );
        assert!(
            succeeds("cp", &["--sparse=always", &from, &to]),
            "copying the image failed"
        );
        std::fs::remove_file(dead).unwrap();
        assert!(self.mount(), "mounting the copy failed");
    }

    /// Unmounts lazily, because the dead file system may still be in use.
    fn unmount(&mut self) {
        let point = self.mount_point().display().to_string();
        if std::mem::take(&mut self.is_mounted) {
            succeeds("umount", &["--lazy", &point]);
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
    }
}
