//! Successful starts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use platformer_tests::archive::{Entry, Tar, gzip, zstd};
use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::{binaries, run};

#[test]
fn every_archive_format_is_started() {
    let script = "#!/bin/sh\necho started; cat data/text\n";
    let tar = Tar::new([
        Entry::directory("./"),
        Entry::file("run.sh", script).mode(0o755),
        Entry::file("data/text", "content\n"),
        Entry::symlink("link", "data/text"),
        Entry::hard_link("hard", "data/text"),
    ])
    .finish();
    let forms = [
        ("hello-1.0.0.tar", tar.clone()),
        ("hello-1.0.0.tar.gz", gzip(&tar)),
        ("hello_1.0.0.tgz", gzip(&tar)),
        ("hello-1.0.0.tar.zst", zstd(&tar)),
    ];
    for (file, artefact) in forms {
        let mock = Mock::start();
        App::new(file, artefact)
            .with_config("STARTUP_COMMAND=./run.sh\n")
            .publish(&mock);
        let ended = Bootstrap::of(&mock).run();
        ended.expect(0);
        assert_eq!(ended.stdout, "started\ncontent\n", "{file}");
    }
}

#[test]
fn a_file_that_is_not_an_archive_is_copied_to_the_tree() {
    let mock = Mock::start();
    let app = App::script("echo \"$0\"");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    assert_eq!(bootstrap.run().expect(0).stdout, "./run.sh\n");
    let tree = bootstrap.dir().join(app.digest().to_string());
    assert_eq!(
        fs::metadata(tree.join("run.sh"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o755
    );

    let mock = Mock::start();
    let app = App::new("notes.txt", "no script").with_config("STARTUP_COMMAND='cat notes.txt'\n");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    assert_eq!(bootstrap.run().expect(0).stdout, "no script");
    let tree = bootstrap.dir().join(app.digest().to_string());
    assert_eq!(
        fs::metadata(tree.join("notes.txt"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o644
    );
}

#[test]
fn the_same_bytes_with_another_file_name_get_another_tree() {
    let mock = Mock::start();
    let first = App::script("echo started as $0");
    first.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    assert_eq!(bootstrap.run().expect(0).stdout, "started as ./run.sh\n");
    let second = App {
        file: "again.sh".to_owned(),
        ..first
    }
    .with_config("STARTUP_COMMAND=./again.sh\n");
    second.publish(&mock);
    assert_eq!(bootstrap.run().expect(0).stdout, "started as ./again.sh\n");
    bootstrap.run().expect(0).says("nothing is downloaded");
}

#[test]
fn the_environment_is_layered() {
    let secrets = directory_with(&[("SECRET", "from a file\n"), ("BOTH", "from a file")]);
    let mock = Mock::start();
    let config = "STARTUP_COMMAND='bin/probe show'\nHOME=/from/config\nGIVEN=config\nBOTH=config\nONLY='con fig'\nBOOTSTRAP_X=no\nIMAGE=config\n";
    App::probe("").with_config(config).publish(&mock);
    let ended = Bootstrap::of(&mock)
        .env("HOME", "/root")
        .env("GIVEN", "container")
        .env("IMAGE", "image")
        .env("BOOTSTRAP_IMAGE_ENV", "IMAGE")
        .env("BOOTSTRAP_SECRETS_DIR", secrets.path())
        .env("BOOTSTRAP_TOKEN", "hunter2")
        .env("PLATFORM_RELEASE", "r666")
        .run();
    ended
        .expect(0)
        .says("override the config's: GIVEN")
        .does_not_say("hunter2");
    let expected = [
        ("HOME", Some("/from/config")),
        ("GIVEN", Some("container")),
        ("IMAGE", Some("config")),
        ("BOTH", Some("from a file")),
        ("SECRET", Some("from a file")),
        ("ONLY", Some("con fig")),
        ("PORT", Some("8080")),
        ("PLATFORM_APP", Some(APP)),
        ("PLATFORM_VERSION", Some("1.0.0")),
        ("PLATFORM_RELEASE", None),
        ("PLATFORM_ENVIRONMENT", None),
        ("BOOTSTRAP_X", None),
    ];
    for (name, value) in expected {
        assert_eq!(ended.variable(name), value, "{name}");
    }
    assert!(
        !ended.stdout.contains("BOOTSTRAP_") && !ended.stdout.contains("hunter2"),
        "{}",
        ended.stdout
    );
}

fn directory_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

#[test]
fn the_app_inherits_signal_state_and_descriptors() {
    let mock = Mock::start();
    App::probe("show").publish(&mock);
    // The probe alone inherits the same state as bootstrap.
    let alone = run::spawn(&binaries::probe(), &["show"], &[]).wait();
    for mode in ["supervise", "exec"] {
        let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_MODE", mode);
        let ended = bootstrap.run();
        ended.expect(0);
        let line = |start: &str| {
            ended
                .stdout
                .lines()
                .find(|line| line.starts_with(start))
                .unwrap()
                .to_owned()
        };
        for kind in ["SigBlk", "SigIgn", "fds"] {
            let inherited = alone
                .stdout
                .lines()
                .find(|line| line.starts_with(kind))
                .unwrap();
            assert_eq!(line(kind), inherited, "{mode}");
        }
        let tree = fs::canonicalize(bootstrap.dir())
            .unwrap()
            .join(App::probe("show").digest().to_string());
        assert_eq!(line("cwd"), format!("cwd {}", tree.display()), "{mode}");
    }
}

#[test]
fn a_warm_start_downloads_nothing_and_a_changed_tree_is_replaced() {
    let mock = Mock::start();
    let app = App::script("echo started; echo added > added");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    bootstrap.run().expect(0);
    bootstrap.run().expect(0).says("nothing is downloaded");
    assert_eq!(mock.requests(&app.path()).len(), 1);
    let tree = bootstrap.dir().join(app.digest().to_string());
    assert!(tree.join("added").exists(), "the file of the app stays");

    fs::write(tree.join("run.sh"), "#!/bin/sh\necho poisoned\n").unwrap();
    let ended = bootstrap.run();
    ended.expect(0).says("is unpacked anew");
    assert_eq!(ended.stdout, "started\n");
    assert_eq!(mock.requests(&app.path()).len(), 2);

    fs::remove_dir_all(&tree).unwrap();
    assert_eq!(bootstrap.run().expect(0).stdout, "started\n");
}

#[test]
fn a_second_start_does_not_replace_a_changed_tree_in_use() {
    let mock = Mock::start();
    let app = App::script(
        "echo changed >> run.sh; echo mine > mine; echo started in $PWD; exec sleep 60",
    );
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    let first = bootstrap.spawn();
    let tree = first.wait_for_stdout("started in ");
    let tree = std::path::PathBuf::from(tree.strip_prefix("started in ").unwrap());
    let second = bootstrap.spawn();
    let second_tree = second.wait_for_stdout("started in ");
    assert_eq!(second_tree, format!("started in {}.1", tree.display()));
    assert!(tree.join("mine").exists(), "the first app keeps its tree");
    for running in [first, second] {
        running.signal(libc::SIGTERM);
        running.wait().expect(143);
    }
    // Once the first app has stopped, the path is reused.
    let third = bootstrap.spawn();
    assert_eq!(
        third.wait_for_stdout("started in "),
        format!("started in {}", tree.display())
    );
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let mock = Mock::start();
    let app = App::script("echo started");
    app.publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    let staging = bootstrap.dir().join(".staging-1");
    fs::create_dir_all(staging.join("half")).unwrap();
    // A tree without an inventory is incomplete.
    let half = bootstrap.dir().join(app.digest().to_string());
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("run.sh"), "half").unwrap();
    assert_eq!(bootstrap.run().expect(0).stdout, "started\n");
    assert!(!staging.exists());
    fs::create_dir_all(staging.join("half")).unwrap();
    bootstrap.run().expect(0).says("nothing is downloaded");
    assert!(!staging.exists(), "a warm start removes leftovers, too");
}

#[test]
fn a_command_after_the_separator_overrides_the_config() {
    let mock = Mock::start();
    App::script("echo config").publish(&mock);
    let bootstrap = Bootstrap::of(&mock)
        .arg("--")
        .arg("echo")
        .arg("a b")
        .arg("$PATH");
    assert_eq!(bootstrap.run().expect(0).stdout, "a b $PATH\n");
    let bootstrap = Bootstrap::of(&mock).env("BOOTSTRAP_STARTUP_COMMAND", "echo $PLATFORM_APP");
    assert_eq!(bootstrap.run().expect(0).stdout, "hello\n");
}

#[test]
fn fetch_prints_the_directory_and_starts_nothing() {
    let mock = Mock::start();
    let app = App::script("echo started");
    app.publish(&mock);
    let bootstrap = Bootstrap::with(&["fetch", APP, &mock.address().to_string()]);
    let ended = bootstrap.run();
    ended.expect(0);
    let tree = fs::canonicalize(bootstrap.dir())
        .unwrap()
        .join(app.digest().to_string());
    assert_eq!(ended.stdout, format!("{}\n", tree.display()));
}

#[test]
fn variables_replace_arguments() {
    let mock = Mock::start();
    App::script("echo started").publish(&mock);
    let bootstrap = Bootstrap::with(&[])
        .env("BOOTSTRAP_APP", APP)
        .env("BOOTSTRAP_REPOSITORY", format!("http://{}", mock.address()));
    assert_eq!(bootstrap.run().expect(0).stdout, "started\n");
}

#[test]
fn each_json_log_line_is_json() {
    let mock = Mock::start();
    App::script("true").publish(&mock);
    let ended = Bootstrap::of(&mock)
        .env("BOOTSTRAP_LOG_FORMAT", "json")
        .run();
    ended.expect(0);
    let stages: Vec<String> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["stage"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(stages, ["release", "fetch", "verify", "unpack", "start"]);
}

#[test]
fn the_token_is_sent_to_the_repository_and_nowhere_else() {
    let mock = Mock::start();
    App::script("true").publish(&mock);
    Bootstrap::of(&mock)
        .env("BOOTSTRAP_TOKEN", "hunter2")
        .run()
        .expect(0)
        .does_not_say("hunter2");
    assert_eq!(
        mock.requests(RELEASE)[0].headers["authorization"],
        "Bearer hunter2"
    );

    let elsewhere = Mock::start();
    let mock = Mock::start();
    mock.always(
        RELEASE,
        Reply::new(302, "").header("Location", &format!("http://{}/x", elsewhere.address())),
    );
    Bootstrap::of(&mock)
        .env("BOOTSTRAP_TOKEN", "hunter2")
        .run()
        .expect(76)
        .says("another origin");
    // Dropping the mock asserts that it got no request.
    drop(elsewhere);
}
