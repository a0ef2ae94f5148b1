//! Compares serving and publishing with nginx on a directory.
//!
//! The servers take turns with the same bytes from the same disk, with their logs on. A minimal server shows
//! the upper bound: it sends the same head and the file by `sendfile`, ignores the request and logs nothing.
//! Publishing is compared with the hash and the disk write alone, and with nginx's DAV module and a `sync`.
#![allow(clippy::print_stdout, reason = "the bench prints its results")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod minimal;

use std::fs;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platformer_tests::binaries;
use platformer_tests::dice::Dice;
use platformer_tests::measure::{median, milliseconds, now, ratio, rounds};
use platformer_tests::ports;
use platformer_tests::run::eventually;
use xtask::build::Profile;

const ROUNDS: usize = 5;
const SECONDS: u32 = 2;
const SIZES: [(&str, usize); 5] = [
    ("4 KiB", 4 << 10),
    ("64 KiB", 64 << 10),
    ("1 MiB", 1 << 20),
    ("16 MiB", 16 << 20),
    ("256 MiB", 256 << 20),
];

/// A running server, stopped on drop.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn repository(storage: &Path) -> Running {
    let address = ports::free();
    let child = Command::new(binaries::repository())
        .env_clear()
        .env("REPOSITORY_LISTEN", address.to_string())
        .env(
            "REPOSITORY_STORAGE",
            format!("file://{}", storage.display()),
        )
        .stdout(Stdio::null())
        .stderr(File::create(storage.join("log")).unwrap())
        .spawn()
        .unwrap();
    eventually("the repository answers", || {
        TcpStream::connect(address).is_ok()
    });
    Running { child, address }
}

fn nginx(directory: &Path) -> Running {
    let address = ports::free();
    let at = directory.display();
    let config = format!(
        "daemon off; user root; worker_processes auto; pid {at}/pid; error_log {at}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {at}/access.log;
  sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_max_body_size 1g; client_body_temp_path {at}/body;
  server {{ listen {address}; root {at}/root; location / {{ dav_methods PUT; create_full_put_path on; }} }}
}}
"
    );
    fs::create_dir_all(directory.join("root")).unwrap();
    fs::write(directory.join("nginx.conf"), config).unwrap();
    let child = Command::new("nginx")
        .arg("-c")
        .arg(directory.join("nginx.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("nginx answers", || TcpStream::connect(address).is_ok());
    Running { child, address }
}

fn main() {
    binaries::use_profile(Profile::Release);
    for program in ["nginx", "wrk", "curl", "dd"] {
        let found = Command::new("which")
            .arg(program)
            .stdout(Stdio::null())
            .status();
        assert!(
            found.unwrap().success(),
            "{program} is not installed: apt-get install nginx wrk curl"
        );
    }
    let home = tempfile::tempdir().unwrap();
    let (ours, theirs) = (home.path().join("repository"), home.path().join("nginx"));
    fs::create_dir_all(&ours).unwrap();
    let repository = repository(&ours);
    let nginx = nginx(&theirs);
    println!("\nGET, medians of {ROUNDS} rounds of {SECONDS} s; MB/s, and the ratio to nginx");
    println!("                         repository      nginx            minimal");
    for (name, size) in SIZES {
        let path = format!("/artefacts/bench/1.0.0/{size}");
        let file = home.path().join("file");
        fs::write(&file, Dice::new(1).noise(size)).unwrap();
        upload(&file, &format!("http://{}{path}", repository.address));
        let target = theirs.join("root").join(&path[1..]);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
        for connections in [1, 64] {
            let mut figures = [Vec::new(), Vec::new(), Vec::new()];
            let servers = [repository.address, nginx.address, minimal::start(&file)];
            for round in 0..=ROUNDS {
                for (at, server) in servers.into_iter().enumerate() {
                    let rate = wrk(server, &path, connections);
                    // The first round fills caches.
                    if round > 0 {
                        figures[at].push(rate);
                    }
                }
            }
            let [ours, theirs, minimal] = figures.map(middle);
            println!(
                "{name:>8} {connections:>3} connections {:>10.1} {:>10.1} {:>7.2}x {:>10.1} {:>7.2}x",
                ours / 1e6,
                theirs / 1e6,
                ours / theirs,
                minimal / 1e6,
                minimal / theirs
            );
        }
    }
    publishing(home.path(), &repository, &nginx);
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Measures bytes per second.
fn wrk(address: SocketAddr, path: &str, connections: u32) -> f64 {
    let output = Command::new("wrk")
        .args([
            "-t",
            "1",
            "-c",
            &connections.to_string(),
            "-d",
            &format!("{SECONDS}s"),
            "--timeout",
            "20s",
        ])
        .arg(format!("http://{address}{path}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Transfer/sec:"));
    let figure = line.unwrap_or_else(|| panic!("{text}")).trim();
    let digits = figure.trim_end_matches(char::is_alphabetic);
    let unit = match &figure[digits.len()..] {
        "B" => 1.0,
        "KB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        other => panic!("{other} in {text}"),
    };
    digits.parse::<f64>().unwrap() * unit
}

fn upload(file: &Path, url: &str) {
    let status = Command::new("curl")
        .args(["-fsS", "-o", "/dev/null", "-T"])
        .arg(file)
        .arg(url)
        .status()
        .unwrap();
    assert!(status.success(), "{url}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = now();
    work();
    now().saturating_sub(begin)
}

fn shell(script: &str) {
    let status = Command::new("bash").args(["-c", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

fn publishing(home: &Path, repository: &Running, nginx: &Running) {
    println!("\nPUT, medians of {ROUNDS} rounds");
    let file = home.join("file");
    let source = file.display();
    for (name, size) in [("1 MiB", 1 << 20), ("256 MiB", 256 << 20)] {
        fs::write(&file, Dice::new(2).noise(size)).unwrap();
        let mut number = 0;
        let mut number = || {
            number += 1;
            number
        };
        let copy = home.join("copy");
        let figures = rounds(
            ROUNDS,
            &mut [
                &mut || {
                    let url = format!(
                        "http://{}/artefacts/put/{size}.0.{}/f",
                        repository.address,
                        number()
                    );
                    timed(|| upload(&file, &url))
                },
                &mut || {
                    let url = format!("http://{}/put", nginx.address);
                    timed(|| {
                        upload(&file, &url);
                        shell(&format!(
                            "sync -d {0}/root/put && sync {0}/root",
                            home.join("nginx").display()
                        ));
                    })
                },
                &mut || timed(|| shell(&format!("sha256sum {source} > /dev/null"))),
                &mut || {
                    let copied = copy.display();
                    timed(|| {
                        shell(&format!(
                            "dd if={source} of={copied} bs=1M conv=fsync status=none"
                        ));
                    })
                },
            ],
        );
        let medians: Vec<Duration> = figures.iter().map(|figures| median(figures)).collect();
        let slower = medians[2].max(medians[3]);
        println!(
            "{name:>8}  repository {}, nginx and sync {} {}, sha256sum {}, dd conv=fsync {}, the slower of the two {}",
            milliseconds(medians[0]),
            milliseconds(medians[1]),
            ratio(medians[1], medians[0]),
            milliseconds(medians[2]),
            milliseconds(medians[3]),
            ratio(slower, medians[0]),
        );
    }
}
