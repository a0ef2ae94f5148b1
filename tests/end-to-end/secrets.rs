//! Twenty secrets, planted wherever one may be, and every way to fail, at the most verbose level: none
//! of them is ever written anywhere.

use std::fs;

use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::Exit;
use platformer_tests::tls::Tls;

fn canary(number: usize) -> String {
    format!("kanarie{number:02}kanarie")
}

/// The twenty, and where each is planted.
const PLACES: [&str; 20] = [
    "BOOTSTRAP_TOKEN",
    "the file of BOOTSTRAP_TOKEN_FILE",
    "the user of the repository's address",
    "the password of the repository's address",
    "a value of the default layer",
    "a value of the app's layer",
    "a value of the environment's layer",
    "a quoted value",
    "a value over two lines",
    "a value that is overridden by the container",
    "a value that does not parse",
    "a value that STARTUP_COMMAND uses as an argument",
    "a secret file",
    "a secret file with a name that is none",
    "a secret file with a NUL",
    "a variable of the container",
    "a bad setting",
    "a body that is no document",
    "an address that is redirected to",
    "an argument of the command line's command",
];

/// An app whose config holds what it should not show.
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

fn silent(what: &str, code: i32, ended: &Exit) {
    ended.expect(code);
    for (number, place) in PLACES.iter().enumerate() {
        for output in [&ended.stderr, &ended.stdout] {
            assert!(
                !output.contains(&canary(number)),
                "{what}: {place} is shown in\n{output}"
            );
        }
    }
}

/// Each in text and in JSON.
fn run(what: &str, code: i32, bootstrap: &Bootstrap) {
    silent(what, code, &bootstrap.run());
    silent(
        what,
        code,
        &bootstrap.run_with("BOOTSTRAP_LOG_FORMAT", "json"),
    );
}

#[test]
fn nothing_is_shown_on_any_way_to_fail() {
    // A release that is all right, and an app that is not there.
    let mock = Mock::start();
    let good = App::script("true").with_config(&config(""));
    good.publish(&mock);
    run("command not found", 127, &plant(&mock));
    let given = plant(&mock).arg("--").arg("/nowhere/app").arg(canary(19));
    run("a command that was given", 127, &given);

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
        silent(setting, 64, &plant(&mock).run_with(&name, &value));
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
fn nothing_is_shown_of_what_is_damaged_or_not_reached() {
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
    run("an artefact that does not come", 69, &plant(&mock));

    // Nobody there, nobody who can be trusted, and no name.
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

/// The layers of `default` and of an environment, from a plain file server; then a start without it.
#[test]
fn nothing_is_shown_of_other_layers_nor_offline() {
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
