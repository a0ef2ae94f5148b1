//! bootstrap never prints a secret: twenty secrets in all places that can hold one, every failure, and the most verbose
//! log level.

use std::fs;

use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::Exit;
use platformer_tests::tls::Tls;

fn canary(number: usize) -> String {
    format!("kanarie{number:02}kanarie")
}

/// The place of each secret.
const PLACES: [&str; 20] = [
    "BOOTSTRAP_TOKEN",
    "the file of BOOTSTRAP_TOKEN_FILE",
    "the user in the address of the repository",
    "the password in the address of the repository",
    "a value of the default layer",
    "a value of the app's layer",
    "a value of the environment's layer",
    "a quoted value",
    "a value over two lines",
    "a value that is overridden by the container",
    "a value that does not parse",
    "a value that STARTUP_COMMAND uses as an argument",
    "a secret file",
    "a secret file whose name is no variable name",
    "a secret file with a NUL",
    "a variable of the container",
    "a bad setting",
    "a body that is not a release document",
    "the target of a redirect",
    "an argument of a command after --",
];

/// A config with secrets.
fn config(more: &str) -> String {
    format!(
        "STARTUP_COMMAND=\"/nowhere/app --password \\$ARGUMENT\"\nA={}\nB=\"{}\"\nC='first\n{}'\nOVER={}\nARGUMENT={}\n{more}",
        canary(5),
        canary(7),
        canary(8),
        canary(9),
        canary(11),
    )
}

fn plant(mock: &Mock) -> Bootstrap {
    let address = mock.address();
    let bootstrap = Bootstrap::with(&[
        APP,
        &format!("http://{}:{}@{address}", canary(2), canary(3)),
    ]);
    let secrets = bootstrap.home().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("SECRET"), canary(12)).unwrap();
    fs::write(secrets.join("not-a-name"), canary(13)).unwrap();
    bootstrap
        .env("BOOTSTRAP_SECRETS_DIR", secrets)
        .env("BOOTSTRAP_LOG", "trace")
        .env("BOOTSTRAP_DEADLINE", "3s")
        .env("BOOTSTRAP_TOKEN", canary(0))
        .env("OVER", canary(15))
}

/// Asserts the exit code, and that the output contains no secret.
fn assert_silent(what: &str, code: i32, exit: &Exit) {
    exit.expect(code);
    for (number, place) in PLACES.iter().enumerate() {
        for output in [&exit.stderr, &exit.stdout] {
            assert!(
                !output.contains(&canary(number)),
                "{what}: {place} is shown in\n{output}"
            );
        }
    }
}

/// Runs bootstrap with logs as text and as JSON.
fn run(what: &str, code: i32, bootstrap: &Bootstrap) {
    assert_silent(what, code, &bootstrap.run());
    assert_silent(
        what,
        code,
        &bootstrap.run_with("BOOTSTRAP_LOG_FORMAT", "json"),
    );
}

#[test]
fn no_failure_prints_a_secret() {
    // A valid release of an app that does not exist.
    let mock = Mock::start();
    let good = App::script("true").with_config(&config(""));
    good.publish(&mock);
    run("command not found", 127, &plant(&mock));
    let given = plant(&mock).arg("--").arg("/nowhere/app").arg(canary(19));
    run("a command after --", 127, &given);

    let token = plant(&mock);
    let file = token.home().join("token");
    fs::write(&file, canary(1)).unwrap();
    run(
        "a token file",
        127,
        &token.env("BOOTSTRAP_TOKEN_FILE", file),
    );

    for (what, more) in [
        ("unquoted", format!("BAD={} {}\n", canary(10), canary(10))),
        ("unterminated", format!("BAD='{}\n", canary(10))),
        (
            "an operator",
            format!("BAD={};{}\n", canary(10), canary(10)),
        ),
        ("an expansion", format!("BAD=${}\n", canary(10))),
        ("no name", format!("{}\n", canary(10))),
    ] {
        let mock = Mock::start();
        App::script("true")
            .with_config(&config(&more))
            .publish(&mock);
        run(what, 78, &plant(&mock));
    }

    let bad_secret = plant(&mock);
    fs::write(
        bad_secret.home().join("secrets/NUL"),
        format!("{}\0", canary(14)),
    )
    .unwrap();
    run("a secret with a NUL", 78, &bad_secret);

    for setting in [
        "DEADLINE",
        "WAIT",
        "STALL_TIMEOUT",
        "MAX_DOWNLOAD",
        "MAX_UNPACKED",
        "MAX_ENTRIES",
        "MODE",
        "SIGNAL_SCOPE",
        "REMAP_EXIT",
        "USER",
        "MIN_RELEASE",
        "OFFLINE",
        "CHANGE_SPLAY",
        "ENVIRONMENT",
        "STOP_SIGNAL",
        "DRAIN_PERIOD",
        "GRACE_PERIOD",
        "ON_CHANGE",
        "TOKEN_FILE",
    ] {
        let name = format!("BOOTSTRAP_{setting}");
        let value = format!("{}!", canary(16));
        assert_silent(setting, 64, &plant(&mock).run_with(&name, &value));
    }

    for (what, code, reply) in [
        ("no document", 76, Reply::ok(canary(17))),
        (
            "half a document",
            76,
            Reply::ok(format!("{{\"statement\": \"{}\"", canary(17))),
        ),
        (
            "another statement",
            76,
            Reply::ok(format!("{{\"statement\": \"{}\"}}", canary(17))),
        ),
        ("401", 77, Reply::new(401, canary(17))),
        ("404", 66, Reply::problem(404, "no such app")),
        ("500", 69, Reply::new(500, canary(17))),
        (
            "a redirection",
            76,
            Reply::new(302, "").header("Location", &format!("http://{}@127.0.0.1:1/", canary(18))),
        ),
    ] {
        let mock = Mock::start();
        mock.always(RELEASE, reply);
        run(what, code, &plant(&mock));
    }
}

#[test]
fn damaged_data_and_unreachable_servers_print_no_secret() {
    let good = App::script("true").with_config(&config(""));
    let mock = Mock::start();
    let mut document = good.document();
    document.config[0].content = format!("A={}\n", canary(5));
    mock.always(RELEASE, Reply::ok(serde_json::to_vec(&document).unwrap()));
    run("a damaged layer", 65, &plant(&mock));
    let mock = Mock::start();
    good.announce(&mock);
    mock.always(&good.path(), Reply::ok(canary(17)));
    run("a damaged artefact", 65, &plant(&mock));
    let mock = Mock::start();
    good.announce(&mock);
    mock.always(&good.path(), Reply::new(503, canary(17)));
    run("an unavailable artefact", 69, &plant(&mock));

    // A closed port, an unknown name, and an untrusted certificate.
    let mock = Mock::start();
    for address in ["127.0.0.1:1", "nowhere.invalid"] {
        let bootstrap = Bootstrap::with(&[
            APP,
            &format!("http://{}:{}@{address}", canary(2), canary(3)),
        ])
        .env("BOOTSTRAP_LOG", "trace")
        .env("BOOTSTRAP_TOKEN", canary(0))
        .env("BOOTSTRAP_DEADLINE", "300ms");
        run(address, 69, &bootstrap);
    }
    let tls = Tls::in_front_of(mock.address());
    let bootstrap = Bootstrap::with(&[
        APP,
        &format!("https://{}:{}@localhost:{}", canary(2), canary(3), tls.port),
    ])
    .env("BOOTSTRAP_LOG", "trace")
    .env("BOOTSTRAP_TOKEN", canary(0));
    run("an unknown certificate", 76, &bootstrap);
}

/// Layers of `default` and of an environment from a plain file server, and an offline start.
#[test]
fn other_layers_and_offline_starts_print_no_secret() {
    let mock = Mock::start();
    let app = App::probe("exit 3");
    mock.always(
        "/releases/hello/latest?environment=production",
        Reply::absent(),
    );
    let layers = [
        (
            "/config/_default/_default.config",
            format!("D={}\n", canary(4)),
        ),
        (
            "/config/hello/hello.config",
            config("STARTUP_COMMAND='bin/probe exit 3'\n"),
        ),
        (
            "/config/hello/production.config",
            format!("E={}\n", canary(6)),
        ),
    ];
    for (path, content) in layers {
        mock.always(path, Reply::ok(content));
    }
    mock.always("/files/hello/hello.tgz", Reply::ok(app.artefact.clone()));
    mock.always(
        "/files/hello/hello.tgz.sha256",
        Reply::ok(format!("{}  hello.tgz\n", app.digest())),
    );
    let bootstrap = plant(&mock)
        .env("BOOTSTRAP_ENVIRONMENT", "production")
        .env("BOOTSTRAP_OFFLINE", "allow");
    run("a plain file server", 3, &bootstrap);
    drop(mock);
    run("offline", 3, &bootstrap);
}
