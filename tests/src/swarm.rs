//! Production on this machine: a swarm with one node, and an S3 store next to the repository.

use std::fs;
use std::time::{Duration, Instant};

use crate::docker;
use crate::moto::{Moto, SERVE};
use crate::platform::Platform;
use crate::run::eventually;
use crate::skip::skip;

/// Starts production with two repositories on S3. Skips the current test if a prerequisite is missing.
pub fn production() -> Platform {
    docker::require_images();
    let state = docker::succeed(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
    if state == "inactive" {
        // Reachable from this machine only.
        let init = docker::docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        if !init.status.success() {
            skip(&String::from_utf8_lossy(&init.stderr));
        }
    } else if docker::succeed(&["info", "--format", "{{.Swarm.ControlAvailable}}"]) != "true" {
        skip("this Docker Engine is a worker of a swarm (leave the swarm: docker swarm leave)");
    }
    let moto = Moto::find();
    let mut platform = Platform::new(
        "production",
        &[
            ("REPOSITORY_STORAGE", "s3://bucket/production"),
            ("AWS_ACCESS_KEY_ID", "access"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT", "http://objects:5000"),
            ("AWS_ALLOW_HTTP", "true"),
        ],
    );
    let stack = format!("{}-objects", platform.name);
    platform.remove_first(stack.clone());
    let store = std::thread::scope(|scope| {
        // `up` creates the network for the store, and then waits for a repository that waits for its bucket.
        let store = scope.spawn(|| start_store(&platform, &stack, moto));
        platform.succeed(&["up", "production"]);
        store.join()
    });
    store.expect("the store starts");
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

const CREATE_BUCKET: [&str; 6] = [
    "curl",
    "--fail",
    "--silent",
    "-X",
    "PUT",
    "http://objects:5000/bucket",
];

/// Starts the store on the environment's internal network, with the Python packages of this machine, and creates the
/// bucket.
fn start_store(platform: &Platform, stack: &str, moto: &Moto) {
    let name = &platform.name;
    let network = format!("{name}_back");
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
    # Mounted, because an image with these hundreds of megabytes would take minutes to build.
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
    eventually("the network exists", || {
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
        stack,
    ]);
    fs::remove_file(&file).expect("a file is removed");
    let begin = Instant::now();
    loop {
        let is_created = platform
            .containers("toolbox", None)
            .first()
            .is_some_and(|toolbox| docker::exec(toolbox, &CREATE_BUCKET).status.success());
        if is_created {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_mins(1),
            "timed out waiting for the store"
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}
