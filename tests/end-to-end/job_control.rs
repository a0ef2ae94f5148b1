//! Terminals: the app runs in the foreground, and the terminal neither stops nor hangs up the app.

use std::fs;
use std::process::Command;

use platformer_tests::binaries;
use platformer_tests::run::{self, eventually};
use platformer_tests::terminal::Terminal;

fn init(options: &[&str], command: &[&str]) -> Command {
    let mut init = Command::new(binaries::bootstrap());
    init.arg("init").args(options).arg("--").args(command);
    init
}

fn probe() -> String {
    binaries::probe().to_str().unwrap().to_owned()
}

/// A spurious SIGHUP would cause exit code 129. A stop by SIGTTOU would block the start.
#[test]
fn a_thousand_starts_on_a_terminal() {
    for number in 0..1000 {
        let terminal = Terminal::start(&mut init(&[], &[&probe(), "terminal"]));
        let (code, seen) = terminal.end();
        assert_eq!((code, seen.trim()), (0, "foreground"), "start {number}");
    }
}

#[test]
fn ctrl_c_reaches_the_app_and_not_the_init() {
    let mut terminal = Terminal::start(&mut init(&[], &[&probe(), "signals", "3"]));
    terminal.wait_for("ready");
    for (key, signal) in [
        ("\x03", "signal 2"),
        ("\x1c", "signal 3"),
        ("\x1a", "signal 20"),
    ] {
        terminal.type_in(key);
        terminal.wait_for(signal);
    }
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_shell_has_job_control() {
    let mut terminal = Terminal::start(&mut init(&[], &["/bin/sh", "-i"]));
    terminal.type_in("case $- in *m*) echo job control: yes;; esac\n");
    terminal.wait_for("job control: yes");
    terminal.type_in("sh -c 'echo sleeping; exec sleep 100'\n");
    terminal.wait_for("sleeping");
    terminal.type_in("\x1a");
    terminal.wait_for("Stopped");
    terminal.type_in("kill -9 %1; wait %1; echo after$((1 + 1))\n");
    terminal.wait_for("after2");
    // The shell may refuse the first exit because of a stopped job.
    terminal.type_in("exit 5\nexit 5\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 5, "{seen}");
    assert!(!seen.contains("job control turned off"), "{seen}");
}

/// The terminal hangs up when its window is closed.
#[test]
fn a_hang_up_reaches_the_app() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("output");
    let script = format!(
        "trap 'echo hung up > {0}; exit 0' HUP; echo ready; while :; do sleep 0.05; done",
        file.display()
    );
    let mut terminal = Terminal::start(&mut init(&[], &["/bin/sh", "-c", &script]));
    terminal.wait_for("ready");
    run::kill(terminal.pid(), libc::SIGHUP);
    eventually("the app handles SIGHUP", || {
        fs::read_to_string(&file).is_ok_and(|text| text == "hung up\n")
    });
}

/// A script without job control reads from the terminal after the init has exited.
#[test]
fn the_init_returns_the_terminal() {
    let script = format!(
        "{} init -- {} terminal; read line; echo got $line",
        binaries::bootstrap().display(),
        probe()
    );
    let mut terminal = Terminal::start(Command::new("/bin/sh").args(["-c", &script]));
    terminal.wait_for("foreground");
    terminal.type_in("a line\n");
    terminal.wait_for("got a line");
    assert_eq!(terminal.end().0, 0);
}

/// An init that is started with `&` must not take the terminal from the foreground process.
#[test]
fn an_init_in_the_background_stays_in_the_background() {
    let script = format!(
        "set -m; {} init -- {} terminal & wait $!; read line; echo got $line",
        binaries::bootstrap().display(),
        probe()
    );
    let mut terminal = Terminal::start(Command::new("/bin/sh").args(["-c", &script]));
    terminal.type_in("a line\n");
    terminal.wait_for("got a line");
    let (_, seen) = terminal.end();
    assert!(!seen.contains("foreground"), "{seen}");
}

fn state(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .map_or_else(String::new, |(_, rest)| rest[..1].to_owned())
}

#[test]
fn the_init_stops_with_the_app_if_suspend_is_on() {
    for (option, expected) in [("--suspend=on", "T"), ("--suspend=off", "S")] {
        let arguments = ["init", option, "--", &probe(), "signals", "2"];
        let running = run::spawn(&binaries::bootstrap(), &arguments, &[]);
        running.wait_for_stdout("ready");
        running.signal(libc::SIGTSTP);
        running.wait_for_stdout("signal 20");
        eventually(option, || state(running.pid()) == expected);
        running.signal(libc::SIGCONT);
        running.wait_for_stdout("signal 18");
        running.wait().expect(0);
    }
}
