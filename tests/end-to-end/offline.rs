//! `OFFLINE=allow`: a known release is started while the repository is away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use platformer_tests::archive::gzip;
use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};

fn kept(bootstrap: &Bootstrap) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(bootstrap.dir()).unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".release-"))
        .map(|entry| entry.path())
        .collect()
}

/// Mock and bootstrap, after one start.
fn started() -> (Mock, Bootstrap, App) {
    let mock = Mock::start();
    let app = App::probe("show").with_config("STARTUP_COMMAND='bin/probe show'\nSECRET=hunter2\n");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_OFFLINE", "allow");
    bootstrap.run().expect(0);
    (mock, bootstrap.env("BOOTSTRAP_DEADLINE", "2s"), app)
}

#[test]
fn a_known_release_starts_without_the_repository() {
    let (mock, bootstrap, _) = started();
    let files = kept(&bootstrap);
    assert_eq!(files.len(), 1);
    let mode = fs::metadata(&files[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "config holds secrets");
    drop(mock);
    let ended = bootstrap.run();
    ended.expect(0).says("the repository is away").says("1.0.0");
    assert_eq!(ended.variable("SECRET"), Some("hunter2"));
}

#[test]
fn a_server_that_fails_is_away_too_and_one_that_refuses_is_not() {
    let (mock, bootstrap, _) = started();
    mock.always(RELEASE, Reply::new(503, ""));
    bootstrap.run().expect(0).says("the repository is away");
    mock.always(RELEASE, Reply::new(403, ""));
    bootstrap.run().expect(77);
    mock.always(RELEASE, Reply::problem(404, "no such app"));
    bootstrap.run().expect(66);
}

#[test]
fn without_leave_without_a_tree_or_for_another_environment_there_is_no_start() {
    let (mock, bootstrap, app) = started();
    drop(mock);
    bootstrap
        .run_with("BOOTSTRAP_ENVIRONMENT", "other")
        .expect(69);
    fs::remove_dir_all(bootstrap.dir().join(app.digest().to_string())).unwrap();
    bootstrap.run().expect(69);
    let (mock, bootstrap, _) = started();
    drop(mock);
    bootstrap
        .env("BOOTSTRAP_OFFLINE", "deny")
        .run()
        .expect(69)
        .does_not_say("is away");
}

#[test]
fn what_was_kept_is_checked_as_if_it_came_from_the_repository() {
    let (mock, bootstrap, _) = started();
    drop(mock);
    let path = kept(&bootstrap).remove(0);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("hunter2", "hunter3")).unwrap();
    bootstrap
        .run()
        .expect(65)
        .says("the config layer app is damaged");
    fs::write(&path, "nonsense").unwrap();
    bootstrap.run().expect(73).says("remove the file");
}

#[test]
fn a_newer_release_that_cannot_be_fetched_does_not_lose_the_known_one() {
    let (mock, bootstrap, _) = started();
    let newer = App::probe("exit 9");
    newer.announce(&mock);
    mock.always(&newer.path(), Reply::new(503, ""));
    // The artefact of both lies under one path; the newer's bytes are others.
    let newer = App::new("hello-1.0.0.tar.gz", gzip(b"another"));
    newer.announce(&mock);
    bootstrap.run().expect(0).says("the repository is away");
    assert_eq!(kept(&bootstrap).len(), 1);
}

#[test]
fn a_plain_file_server_may_be_away_too() {
    let mock = Mock::start();
    let app = App::probe("show");
    mock.always(RELEASE, Reply::absent());
    mock.always("/config/_default/_default.config", Reply::absent());
    mock.always(
        "/config/hello/hello.config",
        Reply::ok("STARTUP_COMMAND='bin/probe show'\nA=1\n"),
    );
    mock.always("/files/hello/hello.tgz", Reply::ok(app.artefact.clone()));
    mock.always(
        "/files/hello/hello.tgz.sha256",
        Reply::ok(format!("{}  {APP}.tgz\n", app.digest())),
    );
    let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_OFFLINE", "allow");
    bootstrap.run().expect(0);
    let bootstrap = bootstrap.env("BOOTSTRAP_DEADLINE", "2s");
    drop(mock);
    let ended = bootstrap.run();
    ended.expect(0).says("the repository is away");
    assert_eq!(ended.variable("A"), Some("1"));
}
