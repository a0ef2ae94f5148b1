//! `probe`: shows what it was given, and does as it is told.
//!
//! ```text
//! probe show                 environment, arguments, directory, descriptors, signal masks
//! probe now                  the monotonic clock in nanoseconds: when it came to run
//! probe peak COMMAND…        runs the command, then says how many KiB it held at the most
//! probe terminal             "foreground" where its terminal is its own, and nothing where it is not
//! probe deaths N             N children that end at about the same time, and itself with them
//! probe exit N               ends with code N
//! probe die N                dies of signal N
//! probe signals N            names each of N signals as it comes, then ends with 0
//! probe stubborn             ignores SIGTERM
//! probe leave-behind         starts a stubborn descendant in a session of its own, and ends with 7
//! probe leave-orphan         a stubborn grandchild whose parent ends, and stays itself
//! probe orphans N            makes N orphans that end at once, then N/10 that live a little, then ends
//! probe serve                accepts on PORT; GET /status is 200, GET /busy is 503
//! probe stop-on N            ends with 0 on signal N and only then
//! ```
#![expect(
    unsafe_code,
    reason = "signal masks and dispositions, for whose test it exists"
)]
#![expect(clippy::print_stdout, reason = "its output is what the tests read")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, exit};
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["show", ..] => show(),
        ["now"] => now(),
        ["terminal"] => terminal(),
        ["deaths", count] => deaths(number(count)),
        ["peak", command @ ..] => peak(command),
        ["exit", code] => exit(number(code)),
        ["die", signal] => die(number(signal)),
        ["signals", count] => signals(number(count)),
        ["stubborn"] => stubborn(),
        ["leave-behind"] => leave_behind(),
        ["leave-orphan"] => leave_orphan(),
        ["orphans", count] => orphans(number(count)),
        ["serve"] => serve(),
        ["stop-on", signal] => stop_on(number(signal)),
        _ => exit(64),
    }
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_else(|_| exit(64))
}

fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

fn now() {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    }
    say(&format!("{}", time.tv_sec * 1_000_000_000 + time.tv_nsec));
}

/// From here and not from a large process: a child's peak begins with its parent's.
fn peak(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status();
    let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
    // SAFETY: all zeros is a valid value of this plain structure, and the pointer is to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    say(&usage.ru_maxrss.to_string());
    exit(code);
}

fn terminal() {
    // SAFETY: plain system calls.
    let foreground = unsafe { libc::isatty(0) == 1 && libc::tcgetpgrp(0) == libc::getpgrp() };
    if foreground {
        say("foreground");
    }
}

/// The children wait for the end of a pipe, which comes when this process ends.
fn deaths(count: i32) {
    let mut ends = [0; 2];
    // SAFETY: the children call only async-signal-safe functions.
    unsafe {
        libc::pipe(ends.as_mut_ptr());
        for _ in 0..count {
            if libc::fork() == 0 {
                libc::close(ends[1]);
                let mut byte = 0_u8;
                libc::read(ends[0], (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
        }
    }
    exit(9);
}

/// Of /proc/self/status.
const SHOWN: [&str; 6] = ["Sig", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs"];

fn show() {
    for (name, value) in std::env::vars_os() {
        say(&format!("env {}={}", name.display(), value.display()));
    }
    for argument in std::env::args_os() {
        say(&format!("arg {}", argument.display()));
    }
    if let Ok(directory) = std::env::current_dir() {
        say(&format!("cwd {}", directory.display()));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|line| SHOWN.iter().any(|field| line.starts_with(field)))
    {
        say(line);
    }
    let descriptors = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let mut numbers: Vec<String> = descriptors
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    numbers.sort();
    // The last one is the handle that reads the directory.
    say(&format!("fds {}", numbers.join(" ")));
}

fn die(signal: i32) {
    // SAFETY: plain system calls.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
    std::thread::sleep(Duration::from_mins(1));
}

fn all_signals() -> libc::sigset_t {
    // SAFETY: the set is initialised by sigfillset.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        set
    }
}

fn wait(set: &libc::sigset_t) -> i32 {
    let mut signal = 0;
    // SAFETY: both pointers are valid for the call.
    unsafe {
        libc::sigwait(set, &raw mut signal);
    }
    signal
}

fn signals(count: i32) {
    let set = all_signals();
    say("ready");
    for _ in 0..count {
        say(&format!("signal {}", wait(&set)));
    }
}

fn stop_on(wanted: i32) {
    let set = all_signals();
    say("ready");
    while wait(&set) != wanted {}
}

fn stubborn() {
    // SAFETY: a plain system call.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
    }
    say(&format!("ready {}", std::process::id()));
    std::thread::sleep(Duration::from_mins(10));
}

fn leave_behind() {
    let own = std::env::current_exe().unwrap_or_else(|_| exit(1));
    let mut command = Command::new(own);
    command.arg("stubborn");
    // SAFETY: setsid is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|_| exit(1));
    let mut line = [0; 64];
    let read = child
        .stdout
        .as_mut()
        .map_or(0, |output| output.read(&mut line).unwrap_or(0));
    say(String::from_utf8_lossy(&line[..read]).trim());
    exit(7);
}

/// `leave-behind` ends with 7 after it has named the one that it leaves.
fn leave_orphan() {
    let own = std::env::current_exe().unwrap_or_else(|_| exit(1));
    let _ = Command::new(own).arg("leave-behind").status();
    std::thread::sleep(Duration::from_mins(10));
}

/// Forks in pairs: the first child ends at once, so its own child is an orphan.
fn orphans(count: i32) {
    for index in 0..count {
        // SAFETY: the children call only async-signal-safe functions.
        unsafe {
            match libc::fork() {
                0 => {
                    if libc::fork() == 0 {
                        if index % 10 == 0 {
                            libc::usleep(200_000);
                        }
                        libc::_exit(0);
                    }
                    libc::_exit(0);
                }
                -1 => exit(1),
                child => {
                    libc::waitpid(child, std::ptr::null_mut(), 0);
                }
            }
        }
    }
    say("ready");
    std::thread::sleep(Duration::from_secs(1));
}

fn serve() {
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(8080_u16);
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|_| exit(1));
    say("ready");
    for mut connection in listener.incoming().flatten() {
        let mut request = [0; 1024];
        let read = connection.read(&mut request).unwrap_or(0);
        let status = if request[..read].starts_with(b"GET /status ") {
            "200 OK"
        } else {
            "503 Service Unavailable"
        };
        let _ = write!(
            connection,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
}
