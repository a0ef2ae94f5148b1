//! A disk whose power can be cut: ext4 in a file, which stops taking anything at once
//! (`EXT4_IOC_SHUTDOWN` without a flush of its log), and what it had taken is there after the next mount.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::run::eventually;
use crate::skip::skip;

const DISK_BYTES: u64 = 512 << 20;

#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    is_mounted: bool,
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

impl Disk {
    /// `None`, and a line that says so, where none can be made.
    pub fn new(test: &str) -> Option<Self> {
        Self::with_size(test, DISK_BYTES)
    }

    pub fn with_size(test: &str, bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        File::create(&image).unwrap().set_len(bytes).unwrap();
        let mut disk = Self {
            directory,
            is_mounted: false,
        };
        std::fs::create_dir(disk.mount_point()).unwrap();
        let image = image.display().to_string();
        if !succeeds("mkfs.ext4", &["-q", "-F", &image]) || !disk.mount() {
            skip(test, "no ext4 can be made and mounted here");
            return None;
        }
        Some(disk)
    }

    pub fn mount_point(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn mount(&mut self) -> bool {
        let image = self.directory.path().join("image").display().to_string();
        let point = self.mount_point().display().to_string();
        self.is_mounted = succeeds("mount", &["-o", "loop", &image, &point]);
        self.is_mounted
    }

    /// From now on nothing reaches the disk, and what waits in memory is lost.
    pub fn cut_power(&self) {
        // _IOR('X', 125, __u32), and EXT4_GOING_FLAGS_NOLOGFLUSH.
        const EXT4_IOC_SHUTDOWN: u32 = 0x8004_587d;
        let flags: u32 = 2;
        let root = File::open(self.mount_point()).unwrap();
        #[expect(unsafe_code, reason = "the C library has no other way to ask for it")]
        let failed =
            unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN.into(), &raw const flags) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    }

    /// Nobody may use it any more.
    pub fn power_on(&mut self) {
        // A process that another test is just starting has, until it is its own program, all that was open
        // here: then the disk is in use. And a mount namespace that somebody made meanwhile holds the dead file
        // system for as long as it is there: then that one is mounted again.
        eventually("the disk takes something again", || {
            if !self.unmount() {
                return false;
            }
            assert!(self.mount(), "the disk is mounted again");
            let probe = self.mount_point().join("probe");
            std::fs::write(&probe, "x").is_ok() && std::fs::remove_file(probe).is_ok()
        });
    }

    fn unmount(&mut self) -> bool {
        let point = self.mount_point().display().to_string();
        if self.is_mounted && succeeds("umount", &[&point]) {
            self.is_mounted = false;
        }
        !self.is_mounted
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            let point = self.mount_point().display().to_string();
            succeeds("umount", &["-l", &point]);
        }
    }
}
