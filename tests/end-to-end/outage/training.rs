//! Training: Compose, with blue-green deploys by network alias.

use std::time::Duration;

use platformer_tests::docker;
use platformer_tests::platform::{self, Platform};

use super::{Web, deploy_neighbour};

#[test]
fn training_without_an_outage() {
    platform::require_compose();
    let platform = Platform::training();
    let web = Web::start(&platform);
    web.without_failures("blue-green, 1 replica", |_| {
        web.configure("A=1\n");
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.without_failures("rollback", |_| {
        platform.succeed(&["rollback", "web"]);
    });
    web.without_failures("scale 1, 5, 1", |_| {
        platform.succeed(&["scale", "web=5"]);
        platform.succeed(&["scale", "web=1"]);
    });
    platform.succeed(&["scale", "web=2"]);
    web.without_failures("blue-green, 2 replicas", |_| {
        web.configure("A=2\n");
        platform.succeed(&["deploy", "web@1.0.0"]);
    });
    web.bad_releases();
    web.damaged_artefact();
    web.kill_replica();
    web.without_failures("the repository is down", |_| {
        let repository = platform.container("repository");
        docker::succeed(&["stop", &repository]);
        std::thread::sleep(Duration::from_secs(3));
        docker::succeed(&["start", &repository]);
    });
    platform.succeed(&["scale", "web=1"]);
    web.replace_app_that_dies_on_sigterm();
    web.without_failures("addresses move to other containers", |_| {
        deploy_neighbour(&platform, web.directory.path());
        platform.succeed(&["deploy", "web@1.0.0", "--again"]);
        deploy_neighbour(&platform, web.directory.path());
    });
    web.scale_to_zero_and_back();
    web.reload_load_balancer();
}
