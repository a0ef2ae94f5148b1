//! Production on this machine: a swarm of one node, and a store that speaks S3 beside the repository.

use std::fs;
use std::time::{Duration, Instant};

use crate::docker;
use crate::moto::{Moto, SERVE};
use crate::platform::Platform;
use crate::run::eventually;
use crate::skip::skip;

/// Starts production, with two repositories on S3, or leaves the current test out.
pub fn production() -> Platform {
    docker::require_images();
    let state = docker::succeed(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
    if state == "inactive" {
        // Of this machine alone.
        let init = docker::docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        if !init.status.success() {
            skip(&String::from_utf8_lossy(&init.stderr));
        }
    } else if docker::succeed(&["info", "--format", "{{.Swarm.ControlAvailable}}"]) != "true" {
        skip("this engine is a worker of a swarm");
    }
    let moto = Moto::find();
    let platform = Platform::new(
        "production",
        &[
            ("REPOSITORY_STORAGE", "s3://bucket/production"),
            ("AWS_ACCESS_KEY_ID", "access"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT", "http://objects:5000"),
            ("AWS_ALLOW_HTTP", "true"),
        ],
    );
    let bucket = std::thread::scope(|scope| {
        // The network is the platform's, and the repository waits for its bucket.
        let store = scope.spawn(|| store(&platform, moto));
        platform.succeed(&["up", "production"]);
        store.join()
    });
    bucket.expect("the store starts");
    wait_for_repositories(&platform, 2);
    platform
}

pub fn wait_for_repositories(platform: &Platform, count: usize) {
    eventually("the repositories are healthy", || {
        let healthy = platform
            .containers("repository", None)
            .iter()
            .filter(|id| {
                let line = docker::docker(&["inspect", "--format", "{{.State.Health.Status}}", id]);
                line.stdout.starts_with(b"healthy")
            })
            .count();
        healthy == count
    });
}

/// Starts the store on the network behind, from the packages that this machine's tests use themselves, and makes its
/// bucket.
fn store(platform: &Platform, moto: &Moto) {
    let name = &platform.name;
    let network = format!("{name}_back");
    let stack = format!("{name}-objects");
    let file = std::env::temp_dir().join(format!("{stack}.yml"));
    let packages = moto.packages.display();
    let text = format!(
        r"version: '3.8'
services:
  objects:
    image: platformer/app-base:python
    entrypoint: [/usr/local/bin/bootstrap, init, --]
    command: [python3, /serve.py, -H, 0.0.0.0, -p, '5000']
    environment: {{PYTHONPATH: /opt/moto, PORT: '5000'}}
    configs: [{{source: serve, target: /serve.py}}]
    # Hundreds of megabytes, of which little is read: an image of them would take minutes to build.
    volumes: [{{type: bind, source: '{packages}', target: /opt/moto, read_only: true}}]
    labels:
      platform.environment: {name}
      platform.part: objects
    networks:
      back:
        aliases: [objects]
    deploy:
      endpoint_mode: dnsrr
configs:
  serve: {{file: {SERVE:?}}}
networks:
  back:
    external: true
    name: {network}
"
    );
    fs::write(&file, text).expect("a file is written");
    eventually("the network is there", || {
        docker::docker(&["network", "inspect", &network])
            .status
            .success()
    });
    let path = file.display().to_string();
    docker::succeed(&[
        "stack",
        "deploy",
        "--resolve-image",
        "never",
        "-c",
        &path,
        &stack,
    ]);
    fs::remove_file(&file).expect("a file is removed");
    let begin = Instant::now();
    loop {
        let made = platform
            .containers("toolbox", None)
            .first()
            .is_some_and(|toolbox| {
                let words = [
                    "exec",
                    toolbox,
                    "curl",
                    "--fail",
                    "--silent",
                    "-X",
                    "PUT",
                    "http://objects:5000/bucket",
                ];
                docker::docker(&words).status.success()
            });
        if made {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_mins(1),
            "the store does not answer"
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Takes the store away; it uses the platform's network.
pub(crate) fn remove_store(name: &str) {
    docker::docker(&["stack", "rm", &format!("{name}-objects")]);
}
