//! The manifest with an init container: its two containers work together. The test runs them in Docker with a shared
//! volume, so it needs no cluster.

use platformer_tests::docker::{self, Container};
use platformer_tests::run::eventually;
use serde_json::{Value, json};

use super::{list, pods};
use crate::containers::{Platform, greets, hello_world};

#[test]
fn the_init_container_fetches_what_the_container_runs() {
    let (_, pod) = pods()
        .into_iter()
        .find(|(_, pod)| pod["initContainers"].is_array())
        .unwrap();
    let (fetch, run) = (&pod["initContainers"][0], &pod["containers"][0]);
    assert_eq!(
        (&fetch["args"][0], &run["args"][0]),
        (&json!("fetch"), &json!("run"))
    );
    // `run` finds the tree by the same arguments as `fetch`.
    assert_eq!(list(&fetch["args"])[1..], list(&run["args"])[1..]);
    assert_eq!(fetch["image"], run["image"]);

    docker::require_images();
    let platform = Platform::start();
    let address = platform.repository.port("80");
    let version = &hello_world().version;
    let put =
        platformer_tests::http::put(address, "/channels/hello-world/stable", version.as_bytes());
    assert_eq!(put.status, 201, "{}", put.text());
    let volume = Volume(format!("{}-app", platform.network.0));
    let docker_options = |container: &Value| {
        let mut options: Vec<String> = [
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--user=10001:10001",
            "--tmpfs=/tmp",
            "--publish=127.0.0.1::8080",
        ]
        .map(str::to_owned)
        .into();
        options.push(format!("--network={}", platform.network.0));
        options.push(format!("--volume={}:/app", volume.0));
        for variable in list(&container["env"]) {
            let (name, value) = (&variable["name"], &variable["value"]);
            let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
            // The repository of this test needs no token.
            if name != "BOOTSTRAP_TOKEN_FILE" {
                options.push(format!("--env={name}={value}"));
            }
        }
        options.push("platformer/app-base".to_owned());
        options.extend(
            list(&container["args"])
                .iter()
                .map(|word| word.as_str().unwrap().to_owned()),
        );
        options
    };
    let start = |container: &Value| {
        let options = docker_options(container);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Container::run(&options)
    };
    let fetched = start(fetch);
    assert_eq!(fetched.wait(), 0, "{}", fetched.logs());
    let app = start(run);
    greets(&app);
    assert!(
        app.logs().contains("nothing is downloaded"),
        "{}",
        app.logs()
    );
    docker::succeed(&["stop", "--timeout", "20", &app.0]);
    assert_eq!(app.wait(), 0, "{}", app.logs());

    // The container restarts during an outage of the repository.
    docker::succeed(&["stop", &platform.repository.0]);
    let restarted = start(run);
    greets(&restarted);
    eventually("the log mentions the outage", || {
        restarted.logs().contains("the repository is away")
    });
}

/// Removed when it is dropped. Drop it after the containers that use it.
struct Volume(String);

impl Drop for Volume {
    fn drop(&mut self) {
        docker::docker(&["volume", "rm", "--force", &self.0]);
    }
}
