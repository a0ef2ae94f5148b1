//! Deploys, rollbacks, scaling and accidents under load: no request fails, and none waits for a second.
//!
//! One environment a test, one step after another, each with its own report on a line of its own.

mod production;
mod training;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use platformer_tests::load::{Kind, Load, Report};
use platformer_tests::platform::Platform;
use platformer_tests::run::eventually;
use platformer_tests::{binaries, docker};

/// An app that does as its config says, with what its POSTs left on a volume.
struct Web<'a> {
    platform: &'a Platform,
    directory: tempfile::TempDir,
}

const APP: &str = "web";
const CONFIG: &str = "STARTUP_COMMAND=./web\nHEALTHCHECK=/status\nPOSTS=/var/lib/app/posts\nVOLUMES=data:/var/lib/app\n";

impl<'a> Web<'a> {
    /// Published and deployed once.
    fn start(platform: &'a Platform) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(binaries::web(), directory.path().join("web")).unwrap();
        let web = Self {
            platform,
            directory,
        };
        web.publish("1.0.0", "");
        platform.succeed(&["deploy", "web@1.0.0"]);
        web
    }

    fn publish(&self, version: &str, more: &str) {
        self.platform.publish(
            APP,
            self.directory.path(),
            version,
            &format!("{CONFIG}{more}"),
        );
    }

    /// The next release: the same version with another config.
    fn configure(&self, more: &str) {
        let file = self.directory.path().join("../next.config");
        let file = self.platform.name.clone() + &file.display().to_string().replace('/', "_");
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, format!("{CONFIG}{more}")).unwrap();
        self.platform
            .succeed(&["config", "put", APP, &file.display().to_string()]);
        std::fs::remove_file(&file).unwrap();
    }

    /// Does something under load, and tells what became of it.
    fn under_load(&self, what: &str, step: impl FnOnce(&Load)) -> Report {
        let load = Load::start(self.platform.address, APP);
        std::thread::sleep(Duration::from_millis(500));
        step(&load);
        // What drains is a part of it.
        self.settled();
        let report = load.finish();
        let _ = writeln!(
            std::io::stderr(),
            "{} {what}: {} requests, {} failed, p99 {} ms, longest {} ms, {} WebSockets closed with 1001",
            self.platform.name,
            report.requests,
            report.failures.len(),
            report.p99.as_millis(),
            report.longest.as_millis(),
            report.closed,
        );
        assert!(
            report.requests >= 3000,
            "{what}: only {} requests",
            report.requests
        );
        self.each_post_is_there_once(what, &report);
        report
    }

    /// Waits until what has been replaced has ended.
    fn settled(&self) {
        let wanted: usize = self
            .running()
            .lines()
            .filter(|line| line.starts_with("web "))
            .filter_map(|line| {
                line.split_whitespace()
                    .nth(3)?
                    .split('/')
                    .nth(1)?
                    .parse::<usize>()
                    .ok()
            })
            .sum();
        eventually("what was replaced has ended", || {
            self.platform.containers("app", Some(APP)).len() == wanted
        });
    }

    /// The same, where nothing may fail.
    fn unnoticed(&self, what: &str, step: impl FnOnce(&Load)) {
        let report = self.under_load(what, step);
        assert!(
            report.failures.is_empty(),
            "{what}: {:#?}",
            &report.failures[..report.failures.len().min(10)]
        );
        assert_eq!(report.reconnects, 0, "{what}: connections were closed");
        assert!(
            report.websocket_errors.is_empty(),
            "{what}: {:#?}",
            report.websocket_errors
        );
        assert!(
            report.p99 < Duration::from_secs(1),
            "{what}: p99 {:?}",
            report.p99
        );
    }

    /// A POST that was answered is there, and none is there twice.
    fn each_post_is_there_once(&self, what: &str, report: &Report) {
        let volume = format!("{}_web_data:/data:ro", self.platform.name);
        let posts = docker::run_with_volume(&volume, &["cat", "/data/posts"]);
        let mut lines: Vec<&str> = posts.lines().collect();
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), count, "{what}: a POST was done twice");
        for id in &report.acknowledged {
            assert!(
                lines.binary_search(&id.as_str()).is_ok(),
                "{what}: POST {id} is lost"
            );
        }
    }

    fn running(&self) -> String {
        self.platform.succeed(&["status"])
    }

    /// A deploy that cannot succeed: it says why, fails, and leaves what ran.
    fn refuses(&self, what: &str, reference: &str, reasons: &[&str]) {
        let before = self.running();
        let mut output = None;
        self.unnoticed(what, |_| {
            output = Some(
                self.platform
                    .run(&["deploy", reference, "--timeout", "12s"]),
            );
        });
        let output = output.unwrap();
        assert_eq!(output.code, 1, "{what}: {}{}", output.stdout, output.stderr);
        for reason in reasons {
            assert!(
                output.stderr.contains(reason),
                "{what}: {reason:?} in {}",
                output.stderr
            );
        }
        assert!(
            output.stderr.contains("still serving"),
            "{what}: {}",
            output.stderr
        );
        assert_eq!(self.running(), before, "{what}");
    }

    /// Bad releases, each bad in another way.
    fn bad_releases(&self) {
        self.configure("TROUBLE=never-ready\n");
        self.refuses(
            "a release that never gets ready",
            "web@1.0.0",
            &["GET :8080/status → 503 \"db refused\""],
        );
        self.configure("TROUBLE=ends\n");
        self.refuses(
            "a release that ends at once",
            "web@1.0.0",
            &["it exited with code 3"],
        );
        self.configure("TROUBLE=ends-later\n");
        self.refuses(
            "a release that ends a second later",
            "web@1.0.0",
            &["exited"],
        );
        self.configure("");
        let output = self.platform.run(&["deploy", "web@9.9.9"]);
        assert_eq!(output.code, 1);
        assert!(output.stderr.contains("9.9.9"), "{}", output.stderr);
        let output = self.platform.run(&["deploy", "web@r999"]);
        assert_eq!(output.code, 1);
        assert!(output.stderr.contains("r999"), "{}", output.stderr);
    }

    /// An artefact that is not what it was when it was published.
    fn damaged(&self) {
        const DAMAGE: &str = "f=$(find /store/blobs -type f -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2) && printf X | dd of=\"$f\" conv=notrunc status=none";
        std::fs::write(self.directory.path().join("note"), "another version\n").unwrap();
        self.publish("2.0.0", "");
        let volume = format!("{}_repository:/store", self.platform.name);
        docker::run_with_volume(&volume, &["sh", "-c", DAMAGE]);
        self.refuses(
            "a release whose artefact is damaged",
            "web@2.0.0",
            &[
                "it exited with code 65 (artefact damaged or refused)",
                "sha256",
            ],
        );
    }

    /// `kill -9` of one of two replicas: what was in flight on it fails, and nothing else.
    fn killed(&self) {
        let mut at = Duration::ZERO;
        let report = self.under_load("kill -9 of one of two replicas", |load| {
            let victim = self.platform.containers("app", Some(APP)).remove(0);
            at = load.elapsed();
            docker::kill_process(&victim);
            std::thread::sleep(Duration::from_secs(8));
        });
        for failure in &report.failures {
            // Whatever may be asked again is asked again, of the other replica.
            assert!(
                matches!(failure.kind, Kind::Post | Kind::PersistentPost),
                "{failure:?}"
            );
            assert!(
                failure.at > at.saturating_sub(Duration::from_secs(1))
                    && failure.at < at + Duration::from_secs(2),
                "{failure:?}, killed at {at:?}"
            );
        }
        assert!(report.failures.len() <= 2, "{:?}", report.failures);
        assert!(report.p99 < Duration::from_secs(1), "{:?}", report.p99);
    }

    /// From one replica to none and back: 503 only while there is none.
    fn to_none_and_back(&self) {
        let (mut gone, mut back) = (Duration::ZERO, Duration::ZERO);
        let report = self.under_load("scale 1, 0, 1", |load| {
            gone = load.elapsed();
            self.platform.succeed(&["scale", "web=0"]);
            std::thread::sleep(Duration::from_secs(2));
            self.platform.succeed(&["scale", "web=1"]);
            back = load.elapsed();
            std::thread::sleep(Duration::from_secs(2));
        });
        assert!(!report.failures.is_empty(), "nothing was missed");
        for failure in &report.failures {
            assert!(failure.error.contains("503"), "{failure:?}");
            assert!(
                failure.at > gone && failure.at < back,
                "{failure:?}, {gone:?} to {back:?}"
            );
        }
    }

    /// nginx closes connections that are idle when it reloads. A `POST` that is just being sent over one has no answer, and was
    /// not done.
    fn reloads(&self) {
        let report = self.under_load("the load balancer reloads", |_| {
            self.platform
                .succeed(&["domain", "add", "web", "www.example.org"]);
        });
        assert!(report.failures.len() <= 1, "{:#?}", report.failures);
        assert!(
            report
                .failures
                .iter()
                .all(|failure| failure.kind == Kind::PersistentPost),
            "{:#?}",
            report.failures
        );
        assert!(
            report.websocket_errors.is_empty(),
            "{:#?}",
            report.websocket_errors
        );
        assert!(report.p99 < Duration::from_secs(1), "{:?}", report.p99);
    }

    /// With an app that has no handler for SIGTERM.
    fn dies_at_once(&self) {
        self.configure("ON_TERM=dies\n");
        self.platform.succeed(&["deploy", "web@1.0.0"]);
        self.configure("");
        let report = self.under_load("an app that dies at once on SIGTERM", |_| {
            self.platform.succeed(&["deploy", "web@1.0.0"]);
        });
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        assert!(report.p99 < Duration::from_secs(1), "{:?}", report.p99);
        // Its WebSockets die with it: nobody can close them for it.
        assert!(
            report.websocket_errors.len() <= 1,
            "{:#?}",
            report.websocket_errors
        );
    }
}

/// Another app comes and goes beside, so that addresses change hands.
fn neighbour(platform: &Platform, web: &Path) {
    platform.publish(
        "neighbour",
        web,
        "1.0.0",
        "STARTUP_COMMAND=./web\nHEALTHCHECK=/status\n",
    );
    platform.succeed(&["deploy", "neighbour@1.0.0"]);
    platform.succeed(&["scale", "neighbour=0"]);
}
