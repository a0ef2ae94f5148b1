//! `BOOTSTRAP_USER`: the app's user in a container that starts as root. The switch gives up every way back:
//! groups, capabilities, and the privileges of setuid programs.
#![expect(
    unsafe_code,
    reason = "prctl(2) and capset(2), which change capabilities, have no safe wrapper"
)]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{
    Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups, setgroups, setresgid,
    setresuid,
};

use crate::exit::{Exit, Failure};

/// A user other than root, with a group and supplementary groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppUser {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    groups: Vec<Gid>,
    home: PathBuf,
}

impl AppUser {
    /// Parses `10001`, `10001:10002`, `app` or `app:www`. Without a group, the user keeps its own group and
    /// its supplementary groups. A number without an entry in `/etc/passwd` gets the group of that number.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let known = match number(user) {
            Some(uid) => User::from_uid(Uid::from_raw(uid)),
            None => User::from_name(user),
        };
        let known = known.ok().flatten();
        let uid = match (&known, number(user)) {
            (Some(known), _) => known.uid,
            (None, Some(uid)) => Uid::from_raw(uid),
            (None, None) => {
                return Err(
                    "the image's /etc/passwd has no such user: use a number, as in 10001:10001",
                );
            }
        };
        let gid = match (group, &known) {
            (Some(group), _) => match number(group) {
                Some(gid) => Gid::from_raw(gid),
                None => {
                    Group::from_name(group)
                        .ok()
                        .flatten()
                        .ok_or("the image's /etc/group has no such group: use a number")?
                        .gid
                }
            },
            (None, Some(known)) => known.gid,
            (None, None) => Gid::from_raw(uid.as_raw()),
        };
        if uid.is_root() || gid.as_raw() == 0 {
            return Err("expected a user and a group other than root");
        }
        // A named group excludes supplementary groups, as in docker run --user.
        let groups = match &known {
            Some(known) if group.is_none() => std::ffi::CString::new(known.name.as_bytes())
                .ok()
                .and_then(|name| getgrouplist(&name, gid).ok())
                .unwrap_or_default()
                .into_iter()
                .filter(|group| group.as_raw() != 0)
                .collect(),
            _ => vec![gid],
        };
        Ok(Self {
            uid,
            gid,
            groups,
            home: known.map_or_else(|| PathBuf::from("/"), |known| known.dir),
        })
    }

    /// The owner of a process, by its directory in `/proc`; `None` for root.
    pub(crate) fn owner_of(process: &Path) -> Option<Self> {
        let found = std::fs::metadata(process).ok()?;
        let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
        (!uid.is_root()).then(|| Self {
            uid,
            gid,
            groups: vec![gid],
            home: PathBuf::from("/"),
        })
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Switches to this user for good. This process and its descendants lose all of root's privileges.
    pub(crate) fn switch(&self) -> Result<(), Failure> {
        let refused = |reason: &str| {
            Failure::new(
                Exit::Usage,
                format!("failed to apply BOOTSTRAP_USER: {reason}"),
            )
        };
        if geteuid() == self.uid && getegid() == self.gid {
            // Without the capability to change groups, extra groups are an error.
            let others = getgroups()
                .is_ok_and(|groups| groups.iter().any(|group| !self.groups.contains(group)));
            if others {
                return Err(refused(
                    "the container has additional groups: leave out --group-add, or start it with --user 0",
                ));
            }
            return empty_capability_sets()
                .and_then(|()| no_new_privileges())
                .map_err(|error| refused("failed to drop the capabilities").because(error));
        }
        if !geteuid().is_root() {
            return Err(refused(
                "only a container that starts as root can change its user: unset the variable, or start it with --user 0",
            ));
        }
        let needs = |error: nix::Error| {
            refused("the container needs the capabilities SETUID and SETGID, which docker run grants by default")
                .because(error)
        };
        drop_bounding_set();
        setgroups(&self.groups).map_err(needs)?;
        setresgid(self.gid, self.gid, self.gid).map_err(needs)?;
        setresuid(self.uid, self.uid, self.uid).map_err(needs)?;
        empty_capability_sets().map_err(|error| refused("capset").because(error))?;
        no_new_privileges().map_err(|error| refused("no_new_privs").because(error))?;
        let root = Uid::from_raw(0);
        if setresuid(root, root, root).is_ok() {
            return Err(refused("the process could become root again"));
        }
        Ok(())
    }
}

fn number(text: &str) -> Option<u32> {
    // In the system calls, the greatest number means "no change".
    text.parse().ok().filter(|number| *number != u32::MAX)
}

fn result(code: libc::c_long) -> std::io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// Drops the bounding set as far as the process may. `no_new_privs` makes the rest useless.
fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: a plain system call. For an unknown capability, it changes nothing.
        unsafe {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
}

fn no_new_privileges() -> std::io::Result<()> {
    // SAFETY: a plain system call.
    result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())
}

/// Empties all capability sets. The change of user leaves the inheritable set.
fn empty_capability_sets() -> std::io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    // Effective, permitted and inheritable, twice 32 bits each.
    let sets = [0_u32; 6];
    // SAFETY: version 3 of the call has a header of two and data of six 32-bit numbers.
    unsafe {
        result(libc::syscall(
            libc::SYS_capset,
            header.as_ptr(),
            sets.as_ptr(),
        ))?;
        result(
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_CLEAR_ALL,
                0,
                0,
                0,
            )
            .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_no_passwd() {
        let user = AppUser::parse("54321").unwrap();
        assert_eq!((user.uid.as_raw(), user.gid.as_raw()), (54321, 54321));
        assert_eq!(user.groups, [user.gid]);
        let user = AppUser::parse("54321:54322").unwrap();
        assert_eq!((user.uid.as_raw(), user.gid.as_raw()), (54321, 54322));
        for bad in [
            "",
            "0",
            "root",
            "54321:0",
            "4294967295",
            "no-such-user",
            "54321:no-such-group",
            "54321:",
        ] {
            assert!(AppUser::parse(bad).is_err(), "{bad:?}");
        }
    }
}
