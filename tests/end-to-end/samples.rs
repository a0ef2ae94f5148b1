//! The sample apps, packed, published, and run on their images as on a platform: with their network alias and a read-only
//! root.

mod bakery;
mod sizes;
mod status;

use platformer_tests::docker::{Container, LOCKED_DOWN, Repository, Sample};
use platformer_tests::run::eventually;

/// A repository with published apps.
struct Platform(Repository);

impl Platform {
    fn with(apps: &[&str]) -> Self {
        Self(Repository::with(apps))
    }

    /// Starts an app on an image and waits until the container is healthy.
    fn start(&self, app: &str, image: &str, options: &[&str]) -> Container {
        let alias = format!("{app}.apps.platform");
        let mut arguments = LOCKED_DOWN.to_vec();
        arguments.extend([
            "--network",
            &self.0.network.0,
            "--network-alias",
            &alias,
            "--publish",
            "127.0.0.1::8080",
            "--tmpfs",
            "/app:exec,uid=10001",
            "--tmpfs",
            "/tmp",
            // Shorter than the default, to save time.
            "--health-interval",
            "1s",
        ]);
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
        self.start(app, Sample::packed(app).value("IMAGE"), options)
    }
}

/// Runs `docker stop`, and asserts that the app exits with 0.
fn stop_cleanly(container: &Container) {
    assert_eq!(container.stop(), 0, "{}", container.logs());
}
