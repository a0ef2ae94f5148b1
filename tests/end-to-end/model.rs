//! Thousands of random requests, compared with a model of the repository.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::thread;
use std::time::Duration;

use platformer_tests::binaries;
use platformer_tests::dice::Dice;
use platformer_tests::run;
use platformer_tests::s3::S3;
use platformer_tests::server::Server;

#[derive(Debug, Default)]
struct Version {
    files: BTreeMap<usize, usize>,
    is_sealed: bool,
    yanked: bool,
    purged: bool,
}

#[derive(Debug, Default)]
struct App {
    exists: bool,
    versions: BTreeMap<usize, Version>,
    /// The versions of r1, r2, …
    releases: Vec<usize>,
    /// Indexes into `releases`.
    channels: BTreeMap<usize, usize>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish(usize, usize, usize),
    Yank(usize, bool),
    Purge(usize),
    Release(usize, usize),
    Point(usize, usize),
}

impl App {
    fn is_in_channel(&self, version: usize) -> bool {
        self.channels
            .values()
            .any(|release| self.releases[*release] == version)
    }

    /// Returns the version, or the status of its absence.
    fn version(&mut self, version: usize) -> Result<&mut Version, u16> {
        match self.versions.get_mut(&version) {
            Some(found) if found.purged => Err(410),
            Some(found) => Ok(found),
            None => Err(404),
        }
    }

    fn is_releasable(&self, version: usize) -> bool {
        let found = self.versions.get(&version);
        found.is_some_and(|found| !found.purged && !found.yanked)
    }

    /// Applies a step, and returns the expected status.
    fn apply(&mut self, step: Step) -> u16 {
        if !self.exists && !matches!(step, Step::Publish(..)) {
            return 404;
        }
        match step {
            Step::Publish(version, file, bytes) => {
                self.exists = true;
                let version = self.versions.entry(version).or_default();
                match version.files.get(&file) {
                    _ if version.purged => 410,
                    Some(existing) if *existing == bytes => 200,
                    Some(_) => 409,
                    None if version.is_sealed => 409,
                    None => {
                        version.files.insert(file, bytes);
                        201
                    }
                }
            }
            Step::Yank(version, yanked) => {
                let is_in_channel = self.is_in_channel(version);
                match self.version(version) {
                    Err(status) => status,
                    Ok(found) if found.yanked == yanked => 204,
                    Ok(_) if yanked && is_in_channel => 409,
                    Ok(found) => {
                        found.yanked = yanked;
                        204
                    }
                }
            }
            Step::Purge(version) => {
                let is_in_channel = self.is_in_channel(version);
                match self.version(version) {
                    Err(410) => 204,
                    Err(status) => status,
                    Ok(_) if is_in_channel => 409,
                    Ok(found) => {
                        found.purged = true;
                        found.files.clear();
                        204
                    }
                }
            }
            Step::Release(channel, version) => {
                if !self.is_releasable(version) {
                    return 422;
                }
                let now = self.channels.get(&channel);
                if now.is_some_and(|now| self.releases[*now] == version) {
                    return 200;
                }
                self.version(version).unwrap().is_sealed = true;
                self.releases.push(version);
                self.channels.insert(channel, self.releases.len() - 1);
                201
            }
            Step::Point(channel, release) => {
                let version = self.releases.get(release).copied();
                if !version.is_some_and(|version| self.is_releasable(version)) {
                    return 422;
                }
                match self.channels.insert(channel, release) {
                    Some(before) if before == release => 200,
                    _ => 201,
                }
            }
        }
    }
}

fn bytes(kind: usize) -> String {
    format!("bytes of kind {kind}")
}

fn send(server: &Server, app: usize, step: Step) -> u16 {
    let app = format!("app-{app}");
    match step {
        Step::Publish(version, file, kind) => {
            let path = format!("/artefacts/{app}/1.0.{version}/f{file}");
            server.put(&path, bytes(kind)).status
        }
        Step::Yank(version, yanked) => {
            let path = format!("/artefacts/{app}/1.0.{version}/yanked");
            server.put(&path, yanked.to_string()).status
        }
        Step::Purge(version) => {
            let path = format!("/artefacts/{app}/1.0.{version}?purge=true");
            server.request("DELETE", &path, &[], b"").status
        }
        Step::Release(channel, version) => {
            let path = format!("/channels/{app}/channel-{channel}");
            server.put(&path, format!("1.0.{version}")).status
        }
        Step::Point(channel, release) => {
            let path = format!("/channels/{app}/channel-{channel}");
            server.put(&path, format!("r{}", release + 1)).status
        }
    }
}

/// Asserts that the server has everything that the model has.
fn compare(server: &Server, apps: &[App]) {
    for (number, app) in apps.iter().enumerate() {
        for (version, found) in &app.versions {
            for (file, kind) in &found.files {
                let path = format!("/artefacts/app-{number}/1.0.{version}/f{file}");
                assert_eq!(server.get(&path).text(), bytes(*kind), "{path}");
            }
            if found.purged {
                let path = format!("/artefacts/app-{number}/1.0.{version}/f0");
                assert_eq!(server.get(&path).status, 410, "{path}");
            }
        }
        for (channel, release) in &app.channels {
            let path = format!("/channels/app-{number}/channel-{channel}");
            assert_eq!(
                server.get(&path).text(),
                format!("r{}\n", release + 1),
                "{path}"
            );
        }
        if app.exists {
            let is_eligible = |(_, found): &(&usize, &Version)| !found.purged && !found.yanked;
            let latest = app.versions.iter().rev().find(is_eligible);
            let listed = server.get(&format!("/artefacts/app-{number}/")).json();
            let expected = latest.map(|(version, _)| format!("1.0.{version}"));
            assert_eq!(listed["latest"].as_str(), expected.as_deref());
        }
    }
}

fn run_steps(steps: usize, start: impl Fn() -> Server, environment: &[(OsString, OsString)]) {
    let mut dice = Dice::new(4);
    let mut apps: Vec<App> = (0..3).map(|_| App::default()).collect();
    let mut server = start();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for number in 0..steps {
        let noise = dice.noise(6);
        let pick = |index: usize, count: usize| usize::from(noise[index]) % count;
        // New versions appear over time, so that not all are purged in the end.
        let version = number * 12 / steps.max(1) * 4 + pick(1, 8);
        let app = pick(0, apps.len());
        let releases = apps[app].releases.len();
        let step = match pick(2, 16) {
            0..=5 => Step::Publish(version, pick(3, 2), pick(4, 2)),
            6 | 7 => Step::Yank(version, pick(3, 2) == 0),
            8 => Step::Purge(version),
            9..=12 => Step::Release(pick(3, 3), version),
            _ => Step::Point(pick(3, 3), pick(4, releases + 2)),
        };
        let expected = apps[app].apply(step);
        let status = send(&server, app, step);
        assert_eq!(status, expected, "step {number}: {step:?} of app {app}");
        *statuses.entry(status).or_default() += 1;
        if number == steps / 2 {
            thread::sleep(GC_AGE);
        }
        if number % 97 == 96 {
            run::spawn(&binaries::repository(), &["gc", "--delete"], environment)
                .wait()
                .expect(0);
            compare(&server, &apps);
        }
        if number % 389 == 388 {
            server.stop().expect(0);
            server = start();
        }
    }
    compare(&server, &apps);
    for status in [200, 201, 204, 409, 410, 422] {
        assert!(
            statuses.get(&status).is_some_and(|count| *count > 3),
            "{statuses:?}"
        );
    }
}

/// Short, so that gc considers the published blobs during the test.
const GC_AGE: Duration = Duration::from_secs(8);
const SETTINGS: [(&str, &str); 2] = [("UPLOAD_TIMEOUT", "4s"), ("GC_AGE", "8s")];

fn settings() -> impl Iterator<Item = (OsString, OsString)> {
    SETTINGS
        .into_iter()
        .map(|(name, value)| (format!("REPOSITORY_{name}").into(), value.into()))
}

/// `SOAK_STEPS`, or a default.
fn steps(default: usize) -> usize {
    std::env::var("SOAK_STEPS").map_or(default, |steps| steps.parse().expect("a number"))
}

#[test]
fn a_disk_behaves_like_the_model() {
    let storage = tempfile::tempdir().unwrap();
    let location = format!("file://{}", storage.path().display());
    let mut environment = vec![("REPOSITORY_STORAGE".into(), location.into())];
    environment.extend(settings());
    let start = || Server::start_with(storage.path(), &SETTINGS);
    run_steps(steps(3000), start, &environment);
}

#[test]
fn s3_behaves_like_the_model() {
    let store = S3::moto();
    let mut environment = store.environment("model");
    environment.extend(settings());
    run_steps(
        steps(800),
        || Server::start_on(&store, "model", &SETTINGS),
        &environment,
    );
}
