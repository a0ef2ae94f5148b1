//! `BOOTSTRAP_USER`: bootstrap starts as root, and the app runs permanently as another user.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::binaries;
use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::run::Exit;
use platformer_tests::skip::skip;

fn require_root() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        skip("needs root");
    }
}

fn status<'a>(ended: &'a Exit, field: &str) -> Vec<&'a str> {
    let line = ended.stdout.lines().find(|line| line.starts_with(field));
    let line = line.unwrap_or_else(|| panic!("{field} in {}", ended.stdout));
    line.split_whitespace().skip(1).collect()
}

/// An app with a file that only its owner can read.
fn app() -> App {
    let probe = fs::read(binaries::probe()).unwrap();
    let tar = Tar::new([
        Entry::directory("./").mode(0o700),
        Entry::directory("bin").mode(0o700),
        Entry::file("bin/probe", probe).mode(0o700),
        Entry::file("private", "content").mode(0o666),
    ]);
    App::new("hello-1.0.0.tar.gz", gzip(&tar.finish()))
        .with_config("STARTUP_COMMAND='bin/probe show'\n")
}

fn bootstrap(mock: &Mock) -> Bootstrap {
    let bootstrap = Bootstrap::of(mock);
    // The user of the app needs access to the tree.
    fs::set_permissions(bootstrap.home(), fs::Permissions::from_mode(0o755)).unwrap();
    bootstrap
}

#[test]
fn the_app_runs_with_the_ids_of_the_user() {
    require_root();
    let mock = Mock::start();
    let app = app();
    app.publish(&mock);
    for mode in ["supervise", "exec"] {
        for (user, uid, gid) in [
            ("10001", "10001", "10001"),
            ("10001:10002", "10001", "10002"),
        ] {
            let bootstrap = bootstrap(&mock)
                .env("BOOTSTRAP_USER", user)
                .env("BOOTSTRAP_MODE", mode)
                .env("HOME", "/root");
            let ended = bootstrap.run();
            ended.expect(0);
            assert_eq!(status(&ended, "Uid:"), [uid; 4], "{mode} {user}");
            assert_eq!(status(&ended, "Gid:"), [gid; 4], "{mode} {user}");
            assert_eq!(status(&ended, "Groups:"), [gid], "{mode} {user}");
            assert_eq!(status(&ended, "NoNewPrivs:"), ["1"]);
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
                assert_eq!(status(&ended, set), ["0000000000000000"], "{set}");
            }
            assert_eq!(ended.variable("HOME"), Some("/"), "root's is not passed on");
            let tree = bootstrap.dir().join(app.digest().to_string());
            let private = fs::metadata(tree.join("private")).unwrap();
            assert_eq!(private.uid(), 0, "the tree stays root's");
            assert_eq!(private.gid().to_string(), gid);
            assert_eq!(private.mode() & 0o777, 0o644, "nobody else may write");
        }
    }
}

#[test]
fn a_user_of_the_image_has_a_group_and_a_home() {
    require_root();
    let mock = Mock::start();
    app().publish(&mock);
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = passwd.lines().find(|line| line.starts_with("nobody:"));
    let fields: Vec<&str> = nobody.expect("a user nobody").split(':').collect();
    let ended = bootstrap(&mock).env("BOOTSTRAP_USER", "nobody").run();
    ended.expect(0);
    assert_eq!(status(&ended, "Uid:"), [fields[2]; 4]);
    assert_eq!(status(&ended, "Gid:"), [fields[3]; 4]);
    assert_eq!(ended.variable("HOME"), Some(fields[5]));
}

#[test]
fn a_tree_is_reused_only_for_the_same_user() {
    require_root();
    let mock = Mock::start();
    let app = app();
    app.publish(&mock);
    let bootstrap = bootstrap(&mock);
    for (user, fetched) in [("10001", 1), ("10001", 1), ("10002", 2)] {
        bootstrap.run_with("BOOTSTRAP_USER", user).expect(0);
        assert_eq!(mock.requests(&app.path()).len(), fetched, "{user}");
    }
}

#[test]
fn an_invalid_user_is_an_error() {
    require_root();
    let bootstrap = Bootstrap::with(&["hello", "127.0.0.1:1"]);
    for user in [
        "root",
        "0",
        "10001:0",
        "no-such-user",
        "10001:no-such-group",
    ] {
        bootstrap
            .run_with("BOOTSTRAP_USER", user)
            .expect(64)
            .says("BOOTSTRAP_USER");
    }
}

/// With trusted keys, bootstrap reuses a tree only if the app cannot write to it.
#[test]
fn a_signed_tree_is_reused_if_the_app_cannot_write_to_it() {
    require_root();
    let signer = platformer_tests::signing::Signer::new();
    let mut app = app();
    app.release = Some(1);
    let mut document = app.document();
    document.signature = Some(signer.sign(document.statement.as_bytes(), ""));
    let mock = Mock::start();
    let reply = platformer_tests::mock::Reply::ok(serde_json::to_vec(&document).unwrap());
    mock.always("/releases/hello/r1", reply);
    mock.always(&app.path(), app.file_reply());
    let bootstrap = Bootstrap::with(&["hello@r1", &mock.address().to_string()]);
    fs::set_permissions(bootstrap.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let keys = bootstrap.home().join("keys");
    fs::write(&keys, signer.public_key()).unwrap();
    let bootstrap = bootstrap
        .env("BOOTSTRAP_TRUSTED_KEYS_FILE", keys)
        .env("BOOTSTRAP_USER", "10001");
    bootstrap.run().expect(0);
    bootstrap.run().expect(0).says("already unpacked");
    assert_eq!(mock.requests(&app.path()).len(), 1);
    // Now the app can write to the tree. Times and sizes are unchanged.
    let tree = bootstrap.dir().join(app.digest().to_string());
    fs::set_permissions(tree.join("bin"), fs::Permissions::from_mode(0o777)).unwrap();
    bootstrap.run().expect(0).says("unpacked anew");
    assert_eq!(mock.requests(&app.path()).len(), 2);
}
