//! Production: Swarm, rolling and blue-green, the repository twice on S3.

use std::time::Duration;

use platformer_tests::dice::Dice;
use platformer_tests::platform::Platform;
use platformer_tests::run::eventually;
use platformer_tests::{binaries, docker, swarm};

use super::{Web, neighbour};

/// Bytes of what is large.
const SIZE: u64 = 256 << 20;

/// Four replicas download what is large, and one of two repositories is killed meanwhile: all of them start, at their
/// first try.
fn a_repository_dies_in_the_middle_of_downloads(platform: &Platform) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(binaries::web(), directory.path().join("web")).unwrap();
    let noise = Dice::new(6).noise(usize::try_from(SIZE).unwrap());
    std::fs::write(directory.path().join("noise"), noise).unwrap();
    platform.publish(
        "large",
        directory.path(),
        "1.0.0",
        "STARTUP_COMMAND=./web\nHEALTHCHECK=/status\n",
    );
    platform.succeed(&["deploy", "large@1.0.0"]);
    platform.succeed(&["scale", "large=0"]);
    let service = format!("{}-large-blue_app", platform.name);
    let log = || {
        let output = docker::docker(&["service", "logs", "--raw", &service]);
        String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout)
    };
    let fetched = |log: &str| log.matches("fetched large").count();
    let before = log();
    // Either may be asked by all four; the one to kill is one that serves.
    let repositories: Vec<(String, u64)> = platform
        .containers("repository", None)
        .into_iter()
        .map(|id| {
            let sent = docker::sent_bytes(&id).expect("it runs");
            (id, sent)
        })
        .collect();
    docker::succeed(&["service", "scale", "--detach", &format!("{service}=4")]);
    let mut victim = None;
    eventually("a download is under way", || {
        victim = repositories
            .iter()
            .find(|(id, before)| docker::sent_bytes(id).is_some_and(|now| now - before > SIZE / 8));
        victim.is_some()
    });
    docker::kill_process(&victim.expect("one that serves").0);
    assert!(
        fetched(&log()) < fetched(&before) + 4,
        "too late: all have been fetched"
    );
    eventually("all four run", || {
        let running = docker::succeed(&[
            "service",
            "ls",
            "--filter",
            &format!("name={service}"),
            "--format",
            "{{.Replicas}}",
        ]);
        running == "4/4"
    });
    let failed = docker::succeed(&[
        "service",
        "ps",
        "--filter",
        "desired-state=shutdown",
        "--format",
        "{{.Error}}",
        &service,
    ]);
    assert!(failed.lines().all(str::is_empty), "{failed}");
    assert!(log().contains("attempt 2"), "nobody noticed: {}", log());
    platform.succeed(&["scale", "large=0"]);
    swarm::wait_for_repositories(platform, 2);
}

#[test]
fn production_without_an_outage() {
    docker::require_images();
    let platform = swarm::production();
    a_repository_dies_in_the_middle_of_downloads(&platform);
    let web = Web::start(&platform);
    let next = |number: usize| web.configure(&format!("A={number}\n"));
    web.unnoticed("rolling, 1 replica", |_| {
        next(1);
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.unnoticed("scale 1, 5, 1", |_| {
        platform.succeed(&["scale", "web=5"]);
        platform.succeed(&["scale", "web=1"]);
    });
    platform.succeed(&["scale", "web=2"]);
    web.unnoticed("rolling, 2 replicas", |_| {
        next(2);
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.unnoticed("rollback", |_| {
        platform.succeed(&["rollback", "web"]);
    });
    web.unnoticed("blue-green, 2 replicas", |_| {
        next(3);
        platform.succeed(&["deploy", "web@1.0.0", "--strategy", "blue-green"]);
    });
    web.bad_releases();
    web.killed();
    web.unnoticed(
        "one of two repositories is killed, and one replica starts anew",
        |_| {
            let repository = platform.container("repository");
            docker::kill_process(&repository);
            platform.succeed(&["scale", "web=3"]);
            swarm::wait_for_repositories(&platform, 2);
        },
    );
    web.unnoticed("both repositories are away", |_| {
        let service = format!("{}_repository", platform.name);
        docker::succeed(&["service", "scale", "--detach", &format!("{service}=0")]);
        std::thread::sleep(Duration::from_secs(5));
        docker::succeed(&["service", "scale", "--detach", &format!("{service}=2")]);
        swarm::wait_for_repositories(&platform, 2);
    });
    web.unnoticed("scale 3, 5", |_| {
        platform.succeed(&["scale", "web=5"]);
    });
    web.unnoticed("rolling, 5 replicas", |_| {
        next(4);
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    platform.succeed(&["scale", "web=1"]);
    web.dies_at_once();
    web.unnoticed("addresses change hands", |_| {
        neighbour(&platform, web.directory.path());
        platform.succeed(&["deploy", "web", "--again"]);
        neighbour(&platform, web.directory.path());
    });
    web.to_none_and_back();
}
