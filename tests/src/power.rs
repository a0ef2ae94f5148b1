//! A disk whose power can be cut: ext4 in a file, shut down without a flush of its log (`EXT4_IOC_SHUTDOWN`). What had
//! reached the disk by then is there after the next mount.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::skip::skip;

const DISK_BYTES: u64 = 512 << 20;

/// An ext4 file system in a file, mounted by a loop device.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    /// How often the power came back: each time, the file system is mounted from a copy.
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
    /// Makes and mounts a disk, or leaves the current test out.
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
            skip("ext4 cannot be made and mounted (needs root and e2fsprogs)");
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

    /// From now on nothing reaches the disk, and unwritten data is lost.
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

    /// Mounts what had reached the disk.
    ///
    /// A mount namespace that another test made meanwhile, or a child of it between fork and exec, may hold the dead
    /// file system for as long as it lives, and mounting the same device again would only return the dead one. So the
    /// image is copied, and the copy is mounted.
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
            "the image is copied"
        );
        std::fs::remove_file(dead).unwrap();
        assert!(self.mount(), "the copy is mounted");
    }

    /// Lazily, because the dead file system may still be in use.
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
