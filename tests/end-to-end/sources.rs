//! Sources of a release: a plain file server, and the real repository instead of the mock.

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::fixture::{App, Bootstrap, RELEASE, digest};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::server::Server;

/// Serves an app in the layout of the original design.
fn plain(mock: &Mock, checksum: Reply) -> App {
    let tar = Tar::new([Entry::file("run.sh", "#!/bin/sh\necho $GREETING\n").mode(0o755)]).finish();
    let app = App::new("hello.tgz", gzip(&tar));
    mock.always(RELEASE, Reply::absent());
    mock.always("/config/_default/_default.config", Reply::absent());
    mock.always(
        "/config/hello/hello.config",
        Reply::ok("STARTUP_COMMAND=./run.sh\nGREETING=hi\n"),
    );
    mock.always("/files/hello/hello.tgz.sha256", checksum);
    app
}

#[test]
fn an_app_starts_from_a_plain_file_server() {
    let mock = Mock::start();
    let app = plain(&mock, Reply::absent());
    mock.always(
        "/files/hello/hello.tgz.sha256",
        Reply::ok(app.digest().line("hello.tgz")),
    );
    mock.always(
        "/files/hello/hello.tgz",
        Reply::file(app.artefact.clone(), "\"5f-1\""),
    );
    let bootstrap = Bootstrap::of(&mock);
    assert_eq!(
        bootstrap.run().expect(0).says("plain file server").stdout,
        "hi\n"
    );
    bootstrap.run().expect(0).says("nothing is downloaded");

    mock.always(
        "/releases/hello/latest?environment=production",
        Reply::absent(),
    );
    mock.always(
        "/config/hello/production.config",
        Reply::ok("GREETING=production\n"),
    );
    assert_eq!(
        Bootstrap::of(&mock)
            .env("BOOTSTRAP_ENVIRONMENT", "production")
            .run()
            .expect(0)
            .stdout,
        "production\n"
    );
}

#[test]
fn without_a_checksum_a_plain_file_server_needs_permission() {
    let mock = Mock::start();
    let app = plain(&mock, Reply::absent());
    Bootstrap::of(&mock)
        .run()
        .expect(65)
        .says("BOOTSTRAP_ALLOW_UNVERIFIED=true");
    mock.always(
        "/files/hello/hello.tgz",
        Reply::file(app.artefact.clone(), "\"5f-1\""),
    );
    let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_ALLOW_UNVERIFIED", "true");
    assert_eq!(
        bootstrap.run().expect(0).says("is not verified").stdout,
        "hi\n"
    );
}

#[test]
fn a_named_version_never_comes_from_a_plain_file_server() {
    let mock = Mock::start();
    mock.always("/releases/hello/1.0.0", Reply::absent());
    Bootstrap::with(&["hello@1.0.0", &mock.address().to_string()])
        .run()
        .expect(66)
        .says("only a bare hello");
}

/// Checks that the mock behaves like the real server.
#[test]
fn an_app_starts_from_the_real_repository() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    let app =
        App::script("echo $GREETING $PLATFORM_VERSION $PLATFORM_RELEASE $PLATFORM_ENVIRONMENT");
    server.publish(&app.path(), &app.artefact);
    server.publish("/config/_default/_default.config", "GREETING=default\n");
    server.publish(
        "/config/hello/hello.config",
        "STARTUP_COMMAND=./run.sh\nGREETING=app\n",
    );
    let start = |reference: &str, environment: &str| {
        let mut bootstrap = Bootstrap::with(&[reference, &server.address.to_string()]);
        if !environment.is_empty() {
            bootstrap = bootstrap.env("BOOTSTRAP_ENVIRONMENT", environment);
        }
        bootstrap.run().expect(0).stdout.clone()
    };
    assert_eq!(start("hello", ""), "app 1.0.0\n");
    assert_eq!(start("hello@1.0.0", ""), "app 1.0.0\n");
    server.publish("/config/hello/production.config", "GREETING=production\n");
    server.publish("/channels/hello/stable", "1.0.0");
    assert_eq!(
        start("hello@stable", "production"),
        "production 1.0.0 r1 production\n"
    );
    // A later write does not change the config of a release.
    server.publish("/config/hello/production.config", "GREETING=later\n");
    assert_eq!(
        start("hello@r1", "production"),
        "production 1.0.0 r1 production\n"
    );
    assert_eq!(start("hello", "production"), "later 1.0.0 production\n");
    let expected = serde_json::to_string(
        &App {
            release: None,
            ..app.clone()
        }
        .statement()
        .artefacts,
    )
    .unwrap();
    let document = server.get("/releases/hello/latest").json();
    assert!(
        document["statement"].as_str().unwrap().contains(&expected),
        "{document} against {expected}"
    );
    assert_eq!(
        server.get("/files/hello/hello.tgz").status,
        404,
        "only archives are served at this path"
    );
    assert_eq!(digest(&server.get(&app.path()).body), app.digest());
}
