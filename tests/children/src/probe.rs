//! `probe`: an app that prints its environment or behaves in a given way.
//!
//! ```text
//! probe show                 prints environment, arguments, directory, descriptors, signal masks
//! probe now                  prints the monotonic clock in nanoseconds
//! probe peak COMMAND…        runs the command, and prints its peak memory in KiB
//! probe terminal             prints "foreground" if it is in the foreground of its terminal
//! probe deaths N             exits at the same time as N children
//! probe exit N               exits with code N
//! probe die N                dies of signal N
//! probe signals N            prints each of N signals, then exits with 0
//! probe stubborn             ignores SIGTERM
//! probe leave-behind         starts a stubborn descendant in its own session, and exits with 7
//! probe leave-orphan         starts a stubborn grandchild whose parent exits, and keeps running
//! probe orphans N            makes N orphans, a tenth of which outlive it shortly, then exits
//! probe serve                listens on PORT; GET /status is 200, GET /busy is 503
//! probe stop-on N            exits with 0 on signal N and ignores others
//! ```
#![expect(unsafe_code, reason = "it tests signal masks and dispositions")]
#![expect(clippy::print_stdout, reason = "the tests read its output")]

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

fn print(line: &str) {
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
    print(&format!("{}", time.tv_sec * 1_000_000_000 + time.tv_nsec));
}

/// The probe is the parent because it is small: the peak of a child starts at the size of its parent.
fn peak(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status();
    let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
    // SAFETY: all zeros is a valid value of this plain structure, and the pointer is to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    print(&usage.ru_maxrss.to_string());
    exit(code);
}

fn terminal() {
    // SAFETY: plain system calls.
    let foreground = unsafe { libc::isatty(0) == 1 && libc::tcgetpgrp(0) == libc::getpgrp() };
    if foreground {
        print("foreground");
    }
}

/// The children wait on a pipe that closes when this process exits.
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

/// Fields of /proc/self/status to print.
const FIELDS: [&str; 6] = ["Sig", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs"];

fn show() {
    for (name, value) in std::env::vars_os() {
        print(&format!("env {}={}", name.display(), value.display()));
    }
    for argument in std::env::args_os() {
        print(&format!("arg {}", argument.display()));
    }
    if let Ok(directory) = std::env::current_dir() {
        print(&format!("cwd {}", directory.display()));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|line| FIELDS.iter().any(|field| line.starts_with(field)))
    {
        print(line);
    }
    let descriptors = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let mut numbers: Vec<String> = descriptors
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    numbers.sort();
    // The highest number is the handle that reads this directory.
    print(&format!("fds {}", numbers.join(" ")));
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
    print("ready");
    for _ in 0..count {
        print(&format!("signal {}", wait(&set)));
    }
}

fn stop_on(wanted: i32) {
    let set = all_signals();
    print("ready");
    while wait(&set) != wanted {}
}

fn stubborn() {
    // SAFETY: a plain system call.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
    }
    print(&format!("ready {}", std::process::id()));
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
    print(String::from_utf8_lossy(&line[..read]).trim());
    exit(7);
}

/// `leave-behind` prints the id of its descendant before it exits.
fn leave_orphan() {
    let own = std::env::current_exe().unwrap_or_else(|_| exit(1));
    let _ = Command::new(own).arg("leave-behind").status();
    std::thread::sleep(Duration::from_mins(10));
}

/// Forks twice: the child exits at once, so the grandchild is an orphan.
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
    print("ready");
    std::thread::sleep(Duration::from_secs(1));
}

fn serve() {
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(8080_u16);
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|_| exit(1));
    print("ready");
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
