//! `moments` in an environment: a released parameter reaches the running app.

use platformer_tests::binaries;
use platformer_tests::docker::{Container, LOCKED_DOWN};
use platformer_tests::platform::{self, Platform};
use platformer_tests::run::eventually;
use xtask::pack;

use super::{file, get};

#[test]
fn a_released_parameter_reaches_the_running_app() {
    platform::require_compose();
    let platform = Platform::training();
    let network = format!("{}_back", platform.name);
    let network = ["--network", &network, "--network-alias", "redis.platform"];
    let _redis = Container::run(&[&LOCKED_DOWN[..], &network, &["platformer/redis"]].concat());
    let directory = tempfile::tempdir().unwrap();
    let packed = pack::pack_executable("moments", directory.path(), binaries::moments());
    let version = packed.unwrap().version;
    let path = directory.path().display().to_string();
    platform.succeed(&["publish", "moments", &path, &version]);
    let layer = file(
        &platform,
        "moments.config",
        "PICTURES=file:///var/lib/app\nVOLUMES=pictures:/var/lib/app\n",
    );
    platform.succeed(&[
        "config",
        "put",
        "moments",
        &layer.display().to_string(),
        "--layer",
        "training",
    ]);
    std::fs::remove_file(&layer).unwrap();
    platform.succeed(&["deploy", &format!("moments@{version}"), "--timeout", "15s"]);
    let parameters = || get(&platform, "moments.localhost", "/parameters").text();
    assert!(parameters().contains("COMMENTS_SHOWN"), "{}", parameters());
    assert!(
        parameters().contains("COMMENTS_SHOWN=20\n"),
        "{}",
        parameters()
    );

    // As in the console: write a layer, then move the channel that the app follows.
    platform.succeed(&[
        "config",
        "set",
        "moments",
        "COMMENTS_SHOWN=7",
        "--layer",
        "training",
    ]);
    platform.move_channel("moments", "training", &version);
    eventually("the app has the new parameter", || {
        let answer = get(&platform, "moments.localhost", "/parameters");
        answer.status == 200 && answer.text().contains("COMMENTS_SHOWN=7\n")
    });
}
