//! Signals by name and number (signal(7)).

const NAMES: [(&str, libc::c_int); 29] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CONT", libc::SIGCONT),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("STKFLT", libc::SIGSTKFLT),
];

/// RTMIN as in glibc, Docker and systemd. musl, with which bootstrap is linked, reserves one signal more.
const SIGRTMIN: libc::c_int = 34;

/// Parses `TERM`, `SIGTERM`, `15` or `RTMIN+3`.
pub(crate) fn parse(text: &str) -> Option<libc::c_int> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let real_time = name.strip_prefix("RTMIN").map(|offset| match offset {
        "" => Some(0),
        _ => offset.strip_prefix('+')?.parse::<i32>().ok(),
    });
    let number = match real_time {
        Some(offset) => SIGRTMIN.checked_add(offset?)?,
        None => text.parse().ok()?,
    };
    (1..=64).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["TERM", "SIGTERM", "15"] {
            assert_eq!(parse(text), Some(libc::SIGTERM), "{text}");
        }
        assert_eq!(parse("RTMIN+3"), Some(37));
        for text in ["", "0", "65", "NOPE", "RTMIN+99", "-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
