//! Deploys, rollbacks, scaling and faults under load: no request fails, and p99 stays below one second.
//!
//! Each test runs its steps in one environment, and prints one line per step.

mod production;
mod training;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use platformer_tests::load::{Kind, Load, Report};
use platformer_tests::platform::Platform;
use platformer_tests::run::eventually;
use platformer_tests::{binaries, docker};

/// An app whose config selects its behaviour. It records each POST on a volume.
struct Web<'a> {
    platform: &'a Platform,
    directory: tempfile::TempDir,
}

const APP: &str = "web";
const CONFIG: &str = "STARTUP_COMMAND=./web\nHEALTHCHECK=/status\nPOSTS=/var/lib/app/posts\nVOLUMES=data:/var/lib/app\n";

impl<'a> Web<'a> {
    /// Publishes and deploys the app.
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

    /// Writes a config for the next release.
    fn configure(&self, more: &str) {
        let file = self.directory.path().join("../next.config");
        let file = self.platform.name.clone() + &file.display().to_string().replace('/', "_");
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, format!("{CONFIG}{more}")).unwrap();
        self.platform
            .succeed(&["config", "put", APP, &file.display().to_string()]);
        std::fs::remove_file(&file).unwrap();
    }

    /// Runs a step under load, and returns the report.
    fn under_load(&self, what: &str, step: impl FnOnce(&Load)) -> Report {
        let load = Load::start(self.platform.address, APP);
        std::thread::sleep(Duration::from_millis(500));
        step(&load);
        // Draining is part of the step.
        self.wait_until_drained();
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
        self.assert_each_post_ran_once(what, &report);
        report
    }

    /// Waits until all replaced containers have stopped.
    fn wait_until_drained(&self) {
        let wanted: usize = self
            .status()
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
        eventually("the replaced containers have stopped", || {
            self.platform.containers("app", Some(APP)).len() == wanted
        });
    }

    /// Runs a step under load, and asserts that no request fails.
    fn without_failures(&self, what: &str, step: impl FnOnce(&Load)) {
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

    /// Asserts that each acknowledged POST ran, and that none ran twice.
    fn assert_each_post_ran_once(&self, what: &str, report: &Report) {
        let volume = format!("{}_web_data:/data:ro", self.platform.name);
        let posts = docker::run_with_volume(&volume, &["cat", "/data/posts"]);
        let mut lines: Vec<&str> = posts.lines().collect();
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), count, "{what}: a POST ran twice");
        for id in &report.acknowledged {
            assert!(
                lines.binary_search(&id.as_str()).is_ok(),
                "{what}: POST {id} is lost"
            );
        }
    }

    fn status(&self) -> String {
        self.platform.succeed(&["status"])
    }

    /// Asserts that a deploy fails with the reasons, and that the running release keeps serving.
    fn fails_to_deploy(&self, what: &str, reference: &str, reasons: &[&str]) {
        let before = self.status();
        let mut output = None;
        self.without_failures(what, |_| {
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
        assert_eq!(self.status(), before, "{what}");
    }

    fn bad_releases(&self) {
        self.configure("TROUBLE=never-ready\n");
        self.fails_to_deploy(
            "a release that never becomes healthy",
            "web@1.0.0",
            &["GET :8080/status → 503 \"db refused\""],
        );
        self.configure("TROUBLE=ends\n");
        self.fails_to_deploy(
            "a release that exits at once",
            "web@1.0.0",
            &["it exited with code 3"],
        );
        self.configure("TROUBLE=ends-later\n");
        self.fails_to_deploy(
            "a release that exits after a second",
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

    /// A release whose artefact was damaged in the store.
    fn damaged_artefact(&self) {
        const DAMAGE: &str = "f=$(find /store/blobs -type f -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2) && printf X | dd of=\"$f\" conv=notrunc status=none";
        std::fs::write(self.directory.path().join("note"), "another version\n").unwrap();
        self.publish("2.0.0", "");
        let volume = format!("{}_repository:/store", self.platform.name);
        docker::run_with_volume(&volume, &["sh", "-c", DAMAGE]);
        self.fails_to_deploy(
            "a release with a damaged artefact",
            "web@2.0.0",
            &[
                "it exited with code 65 (artefact damaged or refused)",
                "sha256",
            ],
        );
    }

    /// After `kill -9` of one of two replicas, only POSTs in progress on that replica may fail.
    fn kill_replica(&self) {
        let mut at = Duration::ZERO;
        let report = self.under_load("kill -9 of one of two replicas", |load| {
            let victim = self.platform.containers("app", Some(APP)).remove(0);
            at = load.elapsed();
            docker::kill_process(&victim);
            std::thread::sleep(Duration::from_secs(8));
        });
        for failure in &report.failures {
            // The load balancer retries idempotent requests on the other replica.
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

    /// Scales to zero and back. Requests get 503 only while no replica runs.
    fn scale_to_zero_and_back(&self) {
        let (mut stopped, mut started) = (Duration::ZERO, Duration::ZERO);
        let report = self.under_load("scale 1, 0, 1", |load| {
            stopped = load.elapsed();
            self.platform.succeed(&["scale", "web=0"]);
            std::thread::sleep(Duration::from_secs(2));
            self.platform.succeed(&["scale", "web=1"]);
            started = load.elapsed();
            std::thread::sleep(Duration::from_secs(2));
        });
        assert!(!report.failures.is_empty(), "no request failed");
        for failure in &report.failures {
            assert!(failure.error.contains("503"), "{failure:?}");
            assert!(
                failure.at > stopped && failure.at < started,
                "{failure:?}, {stopped:?} to {started:?}"
            );
        }
    }

    /// nginx closes idle connections when it reloads. A `POST` that a client sends at that moment fails, and does not run.
    fn reload_load_balancer(&self) {
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

    /// Replaces an app that has no handler for SIGTERM.
    fn replace_app_that_dies_on_sigterm(&self) {
        self.configure("ON_TERM=dies\n");
        self.platform.succeed(&["deploy", "web@1.0.0"]);
        self.configure("");
        let report = self.under_load("an app that dies at once on SIGTERM", |_| {
            self.platform.succeed(&["deploy", "web@1.0.0"]);
        });
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        assert!(report.p99 < Duration::from_secs(1), "{:?}", report.p99);
        // The app cannot close its WebSockets, so they break.
        assert!(
            report.websocket_errors.len() <= 1,
            "{:#?}",
            report.websocket_errors
        );
    }
}

/// Deploys another app and stops it, so that containers get addresses of other containers.
fn deploy_neighbour(platform: &Platform, web: &Path) {
    platform.publish(
        "neighbour",
        web,
        "1.0.0",
        "STARTUP_COMMAND=./web\nHEALTHCHECK=/status\n",
    );
    platform.succeed(&["deploy", "neighbour@1.0.0"]);
    platform.succeed(&["scale", "neighbour=0"]);
}
