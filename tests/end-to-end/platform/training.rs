//! The first hour, and the commands that come after it.

use std::net::TcpStream;

use platformer_tests::docker::{self, Container};
use platformer_tests::http;
use platformer_tests::platform::{self, Platform};
use platformer_tests::ports;
use platformer_tests::run::eventually;

use super::{bring, first_hour, get, packed};

#[test]
fn the_first_hour() {
    platform::require_compose();
    let platform = Platform::training();
    let (dist, version) = packed("hello-world");
    let path = dist.path().display().to_string();
    first_hour::publish(&platform, dist.path(), &version);

    // A dry run shows the commands, and changes nothing.
    let shown = platform.succeed(&["config", "set", "hello-world", "GREETING=Dry", "--dry-run"]);
    assert!(
        shown.contains("curl-repository") && shown.contains("GREETING=Dry"),
        "{shown}"
    );
    assert!(
        !platform
            .succeed(&["config", "get", "hello-world"])
            .contains("Dry")
    );

    let missing = get(&platform, "hello-world.localhost", "/greeting");
    assert_eq!(missing.status, 503);
    assert_eq!(missing.header("retry-after"), Some("1"));
    assert!(missing.text().contains("hello-world is not available"));
    assert_eq!(get(&platform, "www.example.org", "/").status, 404);

    first_hour::deploy(&platform);

    // Nothing is done twice.
    assert!(
        platform
            .succeed(&["deploy", "hello-world"])
            .contains("runs r1 already")
    );
    let shown = platform.succeed(&["deploy", "hello-world", "--again", "--dry-run"]);
    for line in [
        "-compose",
        "network connect --alias hello-world.apps.platform",
        "refuse-connections",
        "docker stop",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    assert_eq!(platform.containers("app", Some("hello-world")).len(), 1);

    console(&platform);
    first_hour::configure_and_roll_back(&platform);
    secrets_and_commands(&platform);
    another_environment_moves_the_channel(&platform);

    an_interrupted_deploy(&platform);
    everything_stops_and_comes_back(&platform, &path);
}

/// It leaves what ran, shows what it left, and the next one takes that away.
fn an_interrupted_deploy(platform: &Platform) {
    // Without what RELEASE_COMMAND runs in, which is of no colour.
    let environment = format!("label=platform.environment={}", platform.name);
    let of = |colour: &str| {
        let colour = format!("label=platform.colour={colour}");
        let ids = docker::succeed(&[
            "ps",
            "--quiet",
            "--filter",
            &environment,
            "--filter",
            &colour,
        ]);
        ids.lines().count()
    };
    let count = || of("blue") + of("green");
    let deploy = platform.start(&["deploy", "hello-world", "--again"]);
    eventually("a new set is there", || count() == 2);
    drop(deploy);
    assert_eq!(
        get(platform, "hello-world.localhost", "/greeting").status,
        200
    );
    let status = platform.succeed(&["status"]);
    assert!(
        status.contains("a deploy is running, or was interrupted"),
        "{status}"
    );
    platform.succeed(&["deploy", "hello-world", "--again"]);
    assert_eq!(count(), 1);
    let status = platform.succeed(&["status"]);
    assert!(
        !status.contains("interrupted") && status.contains("1/1"),
        "{status}"
    );
}

/// The repository on a port of this machine, for who names this machine.
fn console(platform: &Platform) {
    let address = ports::free();
    let _console = platform.start(&["console", "--port", &address.port().to_string()]);
    eventually("the console answers", || {
        TcpStream::connect(address).is_ok()
    });
    let listing = http::get(address, "/artefacts/");
    assert_eq!(listing.json()["apps"], serde_json::json!(["hello-world"]));
    let elsewhere = http::request(
        address,
        "GET",
        "/artefacts/",
        &[("Host", "evil.example")],
        b"",
    );
    assert_eq!(elsewhere.status, 403);
    // What goes there is passed on as it is, whatever bytes it has; without a token it is refused there.
    let upload = http::put(address, "/artefacts/hello-world/2.0.0/x", &[0xff, 0, 0xff]);
    assert_eq!(upload.status, 401);
}

fn everything_stops_and_comes_back(platform: &Platform, path: &str) {
    // What bears a similar name and is not the platform's stays.
    let volume = format!("{}_stranger", platform.name);
    docker::succeed(&["volume", "create", &volume]);
    let cleaned = platform.succeed(&["clean", "--dry-run"]);
    assert!(
        cleaned.contains("_loadbalancer") && !cleaned.contains(&volume),
        "{cleaned}"
    );
    docker::succeed(&["volume", "rm", &volume]);

    // Nothing is stopped as long as somebody else is on its networks.
    let back = format!("{}_back", platform.name);
    let stranger = Container::run(&["--network", &back, "platformer/toolbox"]);
    let output = platform.run(&["down"]);
    assert!(output.stderr.contains(&stranger.0), "{}", output.stderr);
    assert_eq!(
        get(platform, "hello-world.localhost", "/greeting").status,
        200
    );
    drop(stranger);
    let output = platform.run(&["-e", "production", "status"]);
    assert!(
        output
            .stderr
            .contains("is up as training, not as production"),
        "{}",
        output.stderr
    );
    let output = platform.run(&["publish", "hello-world", path, "2.0.0"]);
    assert!(
        output
            .stderr
            .contains("contains hello-world-1.0.0.tar.gz, but not version 2.0.0"),
        "{}",
        output.stderr
    );

    platform.succeed(&["down"]);
    platform.succeed(&["up"]);
    let status = platform.succeed(&["status"]);
    assert!(
        status.contains("not running: platformer deploy hello-world@training"),
        "{status}"
    );
    platform.succeed(&["deploy", "hello-world@training"]);
    assert_eq!(
        get(platform, "hello-world.localhost", "/greeting").status,
        200
    );
}

fn secrets_and_commands(platform: &Platform) {
    // A list creates no volume.
    assert_eq!(platform.succeed(&["secret", "list", "never-deployed"]), "");
    let volume = format!("{}_never-deployed_secrets", platform.name);
    let inspected = docker::docker(&["volume", "inspect", &volume]);
    assert!(!inspected.status.success(), "{volume} exists");

    let output =
        platform.run_with_input(&["secret", "set", "hello-world", "PASSWORD"], b"hunter2\n");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let read = [
        "run",
        "hello-world",
        "--",
        "/bin/sh",
        "-c",
        "echo \"<$PASSWORD>\"; exit 5",
    ];
    let output = platform.run(&read);
    assert_eq!((output.code, output.stdout.trim()), (5, "<hunter2>"));

    assert_eq!(
        platform.succeed(&["secret", "list", "hello-world"]).trim(),
        "PASSWORD"
    );
    let listed = platform.json(&["secret", "list", "hello-world", "--json"]);
    assert_eq!(listed["secrets"], serde_json::json!(["PASSWORD"]));
    let output = platform.run_with_input(&["secret", "set", "hello-world", "PATH"], b"/nowhere");
    assert!(
        output.stderr.contains("reserved for the image"),
        "{}",
        output.stderr
    );
    let output = platform.run(&["secret", "set", "hello-world", "EMPTY"]);
    assert!(
        output.stderr.contains("standard input is empty"),
        "{}",
        output.stderr
    );
    platform.run_with_input(&["secret", "set", "hello-world", "OTHER"], b"1");
    platform.succeed(&["secret", "remove", "hello-world", "OTHER"]);
    assert_eq!(
        platform.succeed(&["secret", "list", "hello-world"]).trim(),
        "PASSWORD"
    );

    // Before traffic, once, and in the release's own environment.
    platform.succeed(&[
        "config",
        "set",
        "hello-world",
        "RELEASE_COMMAND=/bin/sh -c 'echo \"release $PLATFORM_RELEASE of $PLATFORM_APP, $PASSWORD\"'",
    ]);
    let deployed = platform.succeed(&["deploy", "hello-world"]);
    assert_eq!(
        deployed.matches("of hello-world, hunter2").count(),
        1,
        "{deployed}"
    );
    platform.succeed(&["config", "set", "hello-world", "RELEASE_COMMAND=/bin/false"]);
    let output = platform.run(&["deploy", "hello-world"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("RELEASE_COMMAND exited with code 1"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("still serving"), "{}", output.stderr);
    platform.succeed(&["config", "set", "hello-world", "RELEASE_COMMAND=/bin/true"]);
    let logs = platform.succeed(&["logs", "hello-world"]);
    assert!(logs.contains("starting ./hello-world"), "{logs}");
}

/// A channel that is moved in the console shows as drift.
fn another_environment_moves_the_channel(platform: &Platform) {
    platform.move_channel("hello-world", "training", "r1");
    let status = platform.succeed(&["status"]);
    assert!(status.contains("r1 (drift)"), "{status}");
    platform.succeed(&["deploy", "hello-world@training"]);
    let status = platform.succeed(&["status"]);
    assert!(!status.contains("drift"), "{status}");
}

/// The sample apps, one beside the other.
#[test]
fn the_sample_apps_together() {
    platform::require_compose();
    let platform = Platform::training();
    for app in ["status", "bakery", "bakery-web"] {
        bring(&platform, app);
    }
    let page = get(&platform, "bakery-web.localhost", "/");
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(
        get(&platform, "bakery-web.localhost", "/orders").status,
        200
    );
    assert_eq!(get(&platform, "bakery.localhost", "/orders").status, 200);
    assert_eq!(get(&platform, "status.localhost", "/").status, 200);
    // The static tier keeps serving.
    platform.succeed(&["scale", "bakery=0"]);
    assert_eq!(get(&platform, "bakery-web.localhost", "/").status, 200);
    let orders = get(&platform, "bakery-web.localhost", "/orders");
    assert_eq!(orders.status, 503);
    assert!(orders.header("retry-after").is_some());
    platform.succeed(&["scale", "bakery=2"]);
    eventually("orders are taken again", || {
        get(&platform, "bakery-web.localhost", "/orders").status == 200
    });
}
