//! The sample apps, packed, published, and run on their images as on a platform: with their network alias and a read-only
//! root.

mod bakery;
mod sizes;
mod status;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use platformer_tests::docker::{Container, Network};
use platformer_tests::http;
use platformer_tests::run::eventually;
use xtask::build::Profile;
use xtask::pack::{self, Packed};

/// Archive, config and version of an app.
type Files = (Vec<u8>, String, String);

static PACKED: OnceLock<Mutex<HashMap<String, Files>>> = OnceLock::new();

/// Packs each app once per run.
fn packed(app: &str) -> Files {
    let cache = PACKED.get_or_init(Mutex::default);
    // If packing panicked, the lock is poisoned. The test of that app reports the failure.
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(files) = cache.get(app) {
        return files.clone();
    }
    let directory = tempfile::tempdir().unwrap();
    let files = read(&pack::pack(app, directory.path(), Profile::Release).unwrap());
    cache.insert(app.to_owned(), files.clone());
    files
}

fn read(packed: &Packed) -> Files {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name(&packed.archive).ends_with(&format!("-{}.tar.gz", packed.version)));
    (
        std::fs::read(&packed.archive).unwrap(),
        std::fs::read_to_string(&packed.config).unwrap(),
        packed.version.clone(),
    )
}

/// Returns the value of a line of a config.
fn value<'a>(config: &'a str, key: &str) -> &'a str {
    config
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("a line {key}= in {config}"))
}

/// A repository in a container, with published apps.
struct Platform {
    _repository: Container,
    network: Network,
}

impl Platform {
    fn with(apps: &[&str]) -> Self {
        let network = Network::new();
        let repository = Container::run(&[
            "--network",
            &network.0,
            "--network-alias",
            "repository.platform",
            "--publish",
            "127.0.0.1::80",
            "--env",
            "REPOSITORY_ANONYMOUS_WRITES=true",
            "platformer/repository",
        ]);
        eventually("the repository is ready", || {
            repository.logs().contains("is ready")
        });
        let address = repository.port("80");
        for app in apps {
            let (archive, config, version) = packed(app);
            let path = format!("/artefacts/{app}/{version}/{app}-{version}.tar.gz");
            assert_eq!(http::put(address, &path, &archive).status, 201);
            let path = format!("/config/{app}/{app}.config");
            assert_eq!(http::put(address, &path, config.as_bytes()).status, 201);
        }
        Self {
            _repository: repository,
            network,
        }
    }

    /// Starts an app on an image and waits until the container is healthy.
    fn start(&self, app: &str, image: &str, options: &[&str]) -> Container {
        let alias = format!("{app}.apps.platform");
        let mut arguments = vec![
            "--network",
            &self.network.0,
            "--network-alias",
            &alias,
            "--publish",
            "127.0.0.1::8080",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--tmpfs",
            "/app:exec,uid=10001",
            "--tmpfs",
            "/tmp",
            // Shorter than the default, to save time.
            "--health-interval",
            "1s",
        ];
        arguments.extend(options);
        arguments.extend([image, app, "repository.platform"]);
        let container = Container::run(&arguments);
        eventually("the container is healthy", || {
            let state = container.inspect("{{.State.Status}} {{.State.Health.Status}}");
            assert!(state.starts_with("running"), "{}", container.logs());
            state.ends_with(" healthy")
        });
        container
    }

    /// Starts an app on the image that its config names.
    fn deploy(&self, app: &str, options: &[&str]) -> Container {
        let (_, config, _) = packed(app);
        self.start(app, value(&config, "IMAGE"), options)
    }
}

/// Runs `docker stop`, and asserts that the app exits with 0.
fn stop_cleanly(container: &Container) {
    platformer_tests::docker::succeed(&["stop", &container.0]);
    assert_eq!(container.wait(), 0, "{}", container.logs());
}
