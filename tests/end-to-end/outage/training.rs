//! Training: Compose, blue-green by network alias.

use std::time::Duration;

use platformer_tests::docker;
use platformer_tests::platform::{self, Platform};

use super::{Web, neighbour};

#[test]
fn training_without_an_outage() {
    platform::require_compose();
    let platform = Platform::training();
    let web = Web::start(&platform);
    web.unnoticed("blue-green, 1 replica", |_| {
        web.configure("A=1\n");
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.unnoticed("rollback", |_| {
        platform.succeed(&["rollback", "web"]);
    });
    web.unnoticed("scale 1, 5, 1", |_| {
        platform.succeed(&["scale", "web=5"]);
        platform.succeed(&["scale", "web=1"]);
    });
    platform.succeed(&["scale", "web=2"]);
    web.unnoticed("blue-green, 2 replicas", |_| {
        web.configure("A=2\n");
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.bad_releases();
    web.damaged();
    web.killed();
    web.unnoticed("the repository is away", |_| {
        let repository = platform.container("repository");
        docker::succeed(&["stop", &repository]);
        std::thread::sleep(Duration::from_secs(3));
        docker::succeed(&["start", &repository]);
    });
    platform.succeed(&["scale", "web=1"]);
    web.dies_at_once();
    web.unnoticed("addresses change hands", |_| {
        neighbour(&platform, web.directory.path());
        platform.succeed(&["deploy", "web@1.0.0", "--again"]);
        neighbour(&platform, web.directory.path());
    });
    web.to_none_and_back();
    web.reloads();
}
