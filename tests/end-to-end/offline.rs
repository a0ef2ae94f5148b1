//! `OFFLINE=allow`: a known release starts while the repository is unavailable.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use platformer_tests::archive::gzip;
use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};

fn saved_releases(bootstrap: &Bootstrap) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(bootstrap.dir()).unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".release-"))
        .map(|entry| entry.path())
        .collect()
}

/// Starts the app once, and returns the mock and bootstrap.
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
    let files = saved_releases(&bootstrap);
    assert_eq!(files.len(), 1);
    let mode = fs::metadata(&files[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "config holds secrets");
    drop(mock);
    let ended = bootstrap.run();
    ended.expect(0).says("the repository is away").says("1.0.0");
    assert_eq!(ended.variable("SECRET"), Some("hunter2"));
}

#[test]
fn a_failing_server_counts_as_unavailable_and_a_refusal_does_not() {
    let (mock, bootstrap, _) = started();
    mock.always(RELEASE, Reply::new(503, ""));
    bootstrap.run().expect(0).says("the repository is away");
    mock.always(RELEASE, Reply::new(403, ""));
    bootstrap.run().expect(77);
    mock.always(RELEASE, Reply::problem(404, "no such app"));
    bootstrap.run().expect(66);
}

#[test]
fn an_offline_start_needs_permission_a_tree_and_the_same_environment() {
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
fn a_saved_release_is_verified() {
    let (mock, bootstrap, _) = started();
    drop(mock);
    let path = saved_releases(&bootstrap).remove(0);
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
fn a_failed_download_of_a_newer_release_keeps_the_known_one() {
    let (mock, bootstrap, _) = started();
    let newer = App::probe("exit 9");
    newer.announce(&mock);
    mock.always(&newer.path(), Reply::new(503, ""));
    // Both releases have an artefact at the same path, with different bytes.
    let newer = App::new("hello-1.0.0.tar.gz", gzip(b"another"));
    newer.announce(&mock);
    bootstrap.run().expect(0).says("the repository is away");
    assert_eq!(saved_releases(&bootstrap).len(), 1);
}

#[test]
fn a_known_release_starts_without_its_plain_file_server() {
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
