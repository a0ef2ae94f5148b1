//! The manifest with an init container: its two containers work together. The test runs them in Docker with a shared
//! volume, so it needs no cluster.

use platformer_tests::docker::{self, Container, LOCKED_DOWN, Repository, Sample, Volume};
use platformer_tests::run::eventually;
use serde_json::{Value, json};

use super::{list, pods};
use crate::containers::wait_for_greeting;

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
    let repository = Repository::with(&["hello-world"]);
    let version = Sample::packed("hello-world").version;
    repository.put("/channels/hello-world/stable", version.as_bytes());
    let volume = Volume::new();
    let docker_options = |container: &Value| {
        let mut options = LOCKED_DOWN.map(str::to_owned).to_vec();
        let fixed = [
            "--user=10001:10001",
            "--tmpfs=/tmp",
            "--publish=127.0.0.1::8080",
        ];
        options.extend(fixed.map(str::to_owned));
        options.push(format!("--network={}", repository.network.0));
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
    wait_for_greeting(&app);
    assert!(
        app.logs().contains("nothing is downloaded"),
        "{}",
        app.logs()
    );
    docker::succeed(&["stop", "--timeout", "20", &app.0]);
    assert_eq!(app.wait(), 0, "{}", app.logs());

    // The container restarts during an outage of the repository.
    docker::succeed(&["stop", &repository.container.0]);
    let restarted = start(run);
    wait_for_greeting(&restarted);
    eventually("the log mentions the outage", || {
        restarted.logs().contains("the repository is away")
    });
}
