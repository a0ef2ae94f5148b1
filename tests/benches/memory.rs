//! The memory of an init while the app runs: bootstrap, tini and dumb-init, twenty processes each.
#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platformer_tests::binaries;
use platformer_tests::run::eventually;
use xtask::build::Profile;

const COUNT: usize = 20;

/// Limit for the resident memory of `bootstrap init`, in KiB.
const LIMIT: usize = 400;

fn main() {
    binaries::use_profile(Profile::Release);
    let bootstrap = binaries::bootstrap();
    let size = fs::metadata(&bootstrap).unwrap().len();
    println!("\nbootstrap is {size} bytes\n");
    println!(
        "KiB per process, average of {COUNT} {:>8}{:>10}{:>10}",
        "PSS", "RSS", "anonymous"
    );
    let bootstrap = bootstrap.to_str().unwrap().to_owned();
    let peers: [(&str, Vec<&str>); 4] = [
        ("bootstrap init", vec![&bootstrap, "init", "--"]),
        ("tini-static", vec!["tini-static", "-s", "--"]),
        ("tini", vec!["tini", "-s", "--"]),
        ("dumb-init", vec!["dumb-init"]),
    ];
    for (name, prefix) in peers {
        match measure(&prefix) {
            Some([pss, rss, anonymous]) => {
                println!("{name:<24}{pss:>17}{rss:>10}{anonymous:>10}");
                assert!(
                    !name.starts_with("bootstrap") || rss <= LIMIT,
                    "the init uses {rss} KiB; the limit is {LIMIT} KiB"
                );
            }
            None => println!("{name:<24} is not installed; skipped"),
        }
    }
}

fn measure(prefix: &[&str]) -> Option<[usize; 3]> {
    let mut children = Vec::new();
    for _ in 0..COUNT {
        let child = Command::new(prefix[0])
            .args(&prefix[1..])
            .args(["sleep", "60"])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        children.push(child);
    }
    for child in &children {
        let path = format!("/proc/{0}/task/{0}/children", child.id());
        eventually("the init has started its command", || {
            let children = fs::read_to_string(&path).unwrap_or_default();
            let child = children.split_whitespace().next();
            child.is_some_and(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            })
        });
    }
    // The init returns memory after it has started the command.
    std::thread::sleep(Duration::from_millis(200));
    let figures = ["Pss", "Rss", "Anonymous"].map(|field| {
        let sum: usize = children.iter().map(|child| rollup(child, field)).sum();
        sum / COUNT
    });
    for mut child in children {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
        child.wait().unwrap();
    }
    Some(figures)
}

fn rollup(child: &Child, field: &str) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
