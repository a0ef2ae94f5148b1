//! The first hour, and further commands.

use std::net::TcpStream;

use platformer_tests::docker::{self, Container};
use platformer_tests::http;
use platformer_tests::platform::{self, Platform};
use platformer_tests::ports;
use platformer_tests::run::eventually;

use super::{first_hour, get, packed, publish_and_deploy};

#[test]
fn the_first_hour() {
    platform::require_compose();
    let platform = Platform::training();
    let (dist, version) = packed("hello-world");
    let path = dist.path().display().to_string();
    first_hour::publish(&platform, dist.path(), &version);

    // A dry run prints the commands and changes nothing.
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

    // A deploy of the running release does nothing.
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

    open_console(&platform);
    first_hour::configure_and_roll_back(&platform);
    secrets_and_commands(&platform);
    move_channel(&platform);

    interrupt_deploy(&platform);
    stop_and_start(&platform, &path);
}

/// An interrupted deploy does not affect the running set. `status` reports it, and the next deploy cleans up.
fn interrupt_deploy(platform: &Platform) {
    // Counts by colour, because containers of RELEASE_COMMAND have no colour.
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
    eventually("the new set exists", || count() == 2);
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

/// `console` serves the repository on a local port, only to requests with a local `Host`.
fn open_console(platform: &Platform) {
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
    // The proxy forwards any bytes, and the repository refuses the upload without a token.
    let upload = http::put(address, "/artefacts/hello-world/2.0.0/x", &[0xff, 0, 0xff]);
    assert_eq!(upload.status, 401);
}

fn stop_and_start(platform: &Platform, path: &str) {
    // `clean` keeps other volumes with similar names.
    let volume = format!("{}_stranger", platform.name);
    docker::succeed(&["volume", "create", &volume]);
    let cleaned = platform.succeed(&["clean", "--dry-run"]);
    assert!(
        cleaned.contains("_loadbalancer") && !cleaned.contains(&volume),
        "{cleaned}"
    );
    docker::succeed(&["volume", "rm", &volume]);

    // `down` stops nothing while another container uses a network of the environment.
    let back = format!("{}_back", platform.name);
    let other = Container::run(&["--network", &back, "platformer/toolbox"]);
    let output = platform.run(&["down"]);
    assert!(output.stderr.contains(&other.0), "{}", output.stderr);
    assert_eq!(
        get(platform, "hello-world.localhost", "/greeting").status,
        200
    );
    drop(other);
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
    // `secret list` creates no volume.
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

    // RELEASE_COMMAND runs once, before traffic switches, with the environment of the release.
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

/// `status` shows drift after the channel has moved.
fn move_channel(platform: &Platform) {
    platform.move_channel("hello-world", "training", "r1");
    let status = platform.succeed(&["status"]);
    assert!(status.contains("r1 (drift)"), "{status}");
    platform.succeed(&["deploy", "hello-world@training"]);
    let status = platform.succeed(&["status"]);
    assert!(!status.contains("drift"), "{status}");
}

#[test]
fn the_sample_apps_together() {
    platform::require_compose();
    let platform = Platform::training();
    for app in ["status", "bakery", "bakery-web"] {
        publish_and_deploy(&platform, app);
    }
    let page = get(&platform, "bakery-web.localhost", "/");
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(
        get(&platform, "bakery-web.localhost", "/orders").status,
        200
    );
    assert_eq!(get(&platform, "bakery.localhost", "/orders").status, 200);
    assert_eq!(get(&platform, "status.localhost", "/").status, 200);
    // The static pages work without the bakery.
    platform.succeed(&["scale", "bakery=0"]);
    assert_eq!(get(&platform, "bakery-web.localhost", "/").status, 200);
    let orders = get(&platform, "bakery-web.localhost", "/orders");
    assert_eq!(orders.status, 503);
    assert!(orders.header("retry-after").is_some());
    platform.succeed(&["scale", "bakery=2"]);
    eventually("the bakery takes orders", || {
        get(&platform, "bakery-web.localhost", "/orders").status == 200
    });
}
