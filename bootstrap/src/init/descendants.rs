//! The descendants of this process, by `/proc`. Below PID 1, that leaves out processes that `docker exec`
//! started.

use std::collections::HashMap;
use std::fs;

use super::system;

/// Sends a signal to every descendant except one.
pub(super) fn signal(signal: libc::c_int, except: Option<libc::pid_t>) {
    for pid in all() {
        if Some(pid) != except {
            system::kill(pid, signal);
        }
    }
}

fn all() -> Vec<libc::pid_t> {
    let own = libc::pid_t::try_from(std::process::id()).unwrap_or(1);
    let mut children: HashMap<libc::pid_t, Vec<libc::pid_t>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![own];
    while let Some(pid) = open.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        open.extend(below);
    }
    found
}

/// The fourth field of `/proc/PID/stat`. The second field can contain blanks and brackets.
fn parent(stat: &str) -> Option<libc::pid_t> {
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_may_contain_blanks_and_brackets() {
        assert_eq!(super::parent("12 (a) S 7 (b) S 9 9 9"), Some(9));
        assert_eq!(super::parent("12 (sh) S 7 12 12"), Some(7));
        assert_eq!(super::parent("nonsense"), None);
    }
}
