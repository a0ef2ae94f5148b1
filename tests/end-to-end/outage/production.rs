//! Production: Swarm, with rolling and blue-green deploys and two repositories on S3.

use std::time::Duration;

use platformer_tests::dice::Dice;
use platformer_tests::platform::Platform;
use platformer_tests::run::eventually;
use platformer_tests::{binaries, docker, swarm};

use super::{Web, deploy_neighbour};

/// Size of the large artefact in bytes.
const SIZE: u64 = 256 << 20;

/// Kills one of two repositories while four replicas download a large artefact. All replicas start without a restart.
fn kill_repository_during_downloads(platform: &Platform) {
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
    // All four replicas may use the same repository. Kill one that is serving.
    let repositories: Vec<(String, u64)> = platform
        .containers("repository", None)
        .into_iter()
        .map(|id| {
            let sent = docker::sent_bytes(&id).expect("the repository is running");
            (id, sent)
        })
        .collect();
    docker::succeed(&["service", "scale", "--detach", &format!("{service}=4")]);
    let mut victim = None;
    eventually("a download is in progress", || {
        victim = repositories
            .iter()
            .find(|(id, before)| docker::sent_bytes(id).is_some_and(|now| now - before > SIZE / 8));
        victim.is_some()
    });
    docker::kill_process(&victim.expect("a repository that is serving").0);
    assert!(
        fetched(&log()) < fetched(&before) + 4,
        "all downloads finished before the kill"
    );
    eventually("all four replicas run", || {
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
    assert!(log().contains("attempt 2"), "no replica retried: {}", log());
    platform.succeed(&["scale", "large=0"]);
    swarm::wait_for_repositories(platform, 2);
}

#[test]
fn production_without_an_outage() {
    docker::require_images();
    let platform = swarm::production();
    kill_repository_during_downloads(&platform);
    let web = Web::start(&platform);
    let next = |number: usize| web.configure(&format!("A={number}\n"));
    web.without_failures("rolling, 1 replica", |_| {
        next(1);
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.without_failures("scale 1, 5, 1", |_| {
        platform.succeed(&["scale", "web=5"]);
        platform.succeed(&["scale", "web=1"]);
    });
    platform.succeed(&["scale", "web=2"]);
    web.without_failures("rolling, 2 replicas", |_| {
        next(2);
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.without_failures("rollback", |_| {
        platform.succeed(&["rollback", "web"]);
    });
    web.without_failures("blue-green, 2 replicas", |_| {
        next(3);
        platform.succeed(&["deploy", "web@1.0.0", "--strategy", "blue-green"]);
    });
    web.bad_releases();
    web.kill_replica();
    web.without_failures(
        "one of two repositories is killed, and a replica starts",
        |_| {
            let repository = platform.container("repository");
            docker::kill_process(&repository);
            platform.succeed(&["scale", "web=3"]);
            swarm::wait_for_repositories(&platform, 2);
        },
    );
    web.without_failures("both repositories are down", |_| {
        let service = format!("{}_repository", platform.name);
        docker::succeed(&["service", "scale", "--detach", &format!("{service}=0")]);
        std::thread::sleep(Duration::from_secs(5));
        docker::succeed(&["service", "scale", "--detach", &format!("{service}=2")]);
        swarm::wait_for_repositories(&platform, 2);
    });
    web.without_failures("scale 3, 5", |_| {
        platform.succeed(&["scale", "web=5"]);
    });
    web.without_failures("rolling, 5 replicas", |_| {
        next(4);
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    platform.succeed(&["scale", "web=1"]);
    web.replace_app_that_dies_on_sigterm();
    web.without_failures("addresses move to other containers", |_| {
        deploy_neighbour(&platform, web.directory.path());
        platform.succeed(&["deploy", "web", "--again"]);
        deploy_neighbour(&platform, web.directory.path());
    });
    web.scale_to_zero_and_back();
}
