//! The directory keeps the current and the previous tree of an app. bootstrap removes superseded trees, but never a tree
//! in use.

use std::fs;
use std::path::{Path, PathBuf};

use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::{Running, eventually};

/// An app that runs until it is stopped.
fn service(version: u32) -> App {
    App::script(&format!("echo started {version}; exec sleep 60"))
}

/// An app that exits at once.
fn job(version: u32) -> App {
    App::script(&format!("echo done {version}"))
}

fn tree(bootstrap: &Bootstrap, app: &App) -> PathBuf {
    bootstrap.dir().join(app.digest().to_string())
}

/// Returns the names of the tree of an app and of its files next to the tree.
fn entries(bootstrap: &Bootstrap, app: &App) -> Vec<String> {
    let digest = app.digest().to_string();
    names(&bootstrap.dir())
        .into_iter()
        .filter(|name| name.contains(&digest))
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn start(bootstrap: &Bootstrap, mock: &Mock, app: &App) -> Running {
    app.publish(mock);
    let running = bootstrap.spawn();
    running.wait_for_stdout("started");
    running
}

fn stop(running: Running) -> String {
    running.signal(libc::SIGTERM);
    let ended = running.wait();
    ended.expect(143);
    ended.stderr
}

#[test]
fn the_current_and_the_previous_tree_stay() {
    let mock = Mock::start();
    let bootstrap = Bootstrap::of(&mock);
    let [one, two, three] = [1, 2, 3].map(service);
    stop(start(&bootstrap, &mock, &one));
    stop(start(&bootstrap, &mock, &two));
    assert!(tree(&bootstrap, &one).exists(), "the previous tree stays");
    let running = start(&bootstrap, &mock, &three);
    eventually("the first tree is removed while the app runs", || {
        !names(&bootstrap.dir())
            .iter()
            .any(|name| name.starts_with(".staging-"))
    });
    assert_eq!(entries(&bootstrap, &one), [] as [String; 0]);
    let log = stop(running);
    let removed = format!(
        "removing {}: {APP} keeps its current and its previous tree",
        fs::canonicalize(bootstrap.dir())
            .unwrap()
            .join(one.digest().to_string())
            .display()
    );
    assert!(log.contains(&removed), "{log}");
    // The previous release starts without a download.
    let log = stop(start(&bootstrap, &mock, &two));
    assert!(log.contains("nothing is downloaded"), "{log}");
    assert!(!log.contains("removing"), "{log}");
}

#[test]
fn a_tree_in_use_is_removed_later() {
    let mock = Mock::start();
    let bootstrap = Bootstrap::of(&mock);
    let [one, two, three] = [1, 2, 3].map(service);
    let first = start(&bootstrap, &mock, &one);
    stop(start(&bootstrap, &mock, &two));
    let third = start(&bootstrap, &mock, &three);
    assert!(
        tree(&bootstrap, &one).join("run.sh").exists(),
        "an app runs there"
    );
    stop(first);
    let fourth = start(&bootstrap, &mock, &service(4));
    assert_eq!(entries(&bootstrap, &one), [] as [String; 0]);
    assert_eq!(entries(&bootstrap, &two), [] as [String; 0]);
    stop(third);
    stop(fourth);
}

#[test]
fn a_second_tree_of_a_release_is_removed_when_it_is_not_in_use() {
    let mock = Mock::start();
    let app = App::script("echo changed >> run.sh; echo started changed; exec sleep 60");
    let bootstrap = Bootstrap::of(&mock);
    let first = start(&bootstrap, &mock, &app);
    let second = start(&bootstrap, &mock, &app);
    let beside = bootstrap.dir().join(format!("{}.1", app.digest()));
    assert!(beside.exists());
    stop(second);
    stop(first);
    let third = start(&bootstrap, &mock, &app);
    assert!(!beside.exists());
    assert!(tree(&bootstrap, &app).exists());
    stop(third);
}

#[test]
fn a_second_tree_is_reused_after_the_first_is_gone() {
    let mock = Mock::start();
    let app = App::script(
        "case $PWD in *.1) ;; *) echo changed >> run.sh ;; esac; echo started; exec sleep 60",
    );
    let bootstrap = Bootstrap::of(&mock);
    app.publish(&mock);
    let first = start(&bootstrap, &mock, &app);
    let second = start(&bootstrap, &mock, &app);
    stop(first);
    stop(second);
    // The first tree has changed and is not in use, so this start removes it.
    stop(start(&bootstrap, &mock, &app));
    assert!(!tree(&bootstrap, &app).exists());
    let log = stop(start(&bootstrap, &mock, &app));
    assert!(log.contains("nothing is downloaded"), "{log}");
}

#[test]
fn fetch_and_exec_remove_trees_first() {
    let mock = Mock::start();
    let apps = [1, 2, 3].map(job);
    let fetch = Bootstrap::with(&["fetch", APP, &mock.address().to_string()]);
    let exec = Bootstrap::of(&mock).env("BOOTSTRAP_MODE", "exec");
    for bootstrap in [fetch, exec] {
        for app in &apps {
            app.publish(&mock);
            bootstrap.run().expect(0);
        }
        assert_eq!(entries(&bootstrap, &apps[0]), [] as [String; 0]);
        assert!(
            !names(&bootstrap.dir())
                .iter()
                .any(|name| name.starts_with(".staging-"))
        );
        for app in &apps[1..] {
            assert!(tree(&bootstrap, app).exists());
        }
    }
}

#[test]
fn a_failed_removal_is_a_warning() {
    let mock = Mock::start();
    let bootstrap = Bootstrap::of(&mock);
    let apps = [1, 2, 3].map(job);
    for app in &apps[..2] {
        app.publish(&mock);
        bootstrap.run().expect(0);
    }
    let inventory = bootstrap
        .dir()
        .join(format!(".inventory-{}", apps[0].digest()));
    fs::remove_file(&inventory).unwrap();
    fs::create_dir(&inventory).unwrap();
    apps[2].publish(&mock);
    bootstrap
        .run()
        .expect(0)
        .says("warning: failed to remove ")
        .says("which is superseded");
    assert!(tree(&bootstrap, &apps[0]).exists());
    // The next start tries again.
    fs::remove_dir(&inventory).unwrap();
    bootstrap.run().expect(0).says("removing ");
    assert!(!tree(&bootstrap, &apps[0]).exists());
}

#[test]
fn a_saved_release_keeps_its_tree_unless_it_is_pinned() {
    let mock = Mock::start();
    let address = mock.address().to_string();
    let latest = job(0);
    latest.publish(&mock);
    let bootstrap = Bootstrap::with(&[])
        .env("BOOTSTRAP_REPOSITORY", &address)
        .env("BOOTSTRAP_OFFLINE", "allow")
        .env("BOOTSTRAP_DEADLINE", "2s");
    let offline = |reference: &str| bootstrap.run_with("BOOTSTRAP_APP", reference);
    offline(APP).expect(0);
    let releases: Vec<App> = (1..=3)
        .map(|number| App {
            release: Some(number),
            ..job(u32::try_from(number).unwrap())
        })
        .collect();
    for app in &releases {
        let number = app.release.unwrap();
        mock.always(&format!("/releases/{APP}/r{number}"), app.document_reply());
        mock.always(&app.path(), app.file_reply());
        offline(&format!("{APP}@r{number}")).expect(0);
    }
    assert!(!tree(&bootstrap, &releases[0]).exists());
    assert!(tree(&bootstrap, &latest).exists(), "latest needs it");
    let saved = names(&bootstrap.dir());
    let saved = saved.iter().filter(|name| name.starts_with(".release-"));
    assert_eq!(saved.count(), 3, "that of r1 went with its tree");
    mock.always(RELEASE, Reply::new(503, ""));
    let ended = offline(APP);
    ended.expect(0).says("the repository is away");
    assert_eq!(ended.stdout, "done 0\n");
}

/// No instance could fetch its tree again.
#[test]
fn an_offline_start_removes_nothing() {
    let mock = Mock::start();
    let address = mock.address().to_string();
    let bootstrap = Bootstrap::with(&[])
        .env("BOOTSTRAP_REPOSITORY", &address)
        .env("BOOTSTRAP_OFFLINE", "allow")
        .env("BOOTSTRAP_DEADLINE", "2s");
    let run = |number: u64| bootstrap.run_with("BOOTSTRAP_APP", &format!("{APP}@r{number}"));
    let app = |number: u64| App {
        release: Some(number),
        ..job(u32::try_from(number).unwrap())
    };
    for number in [1, 2] {
        let app = app(number);
        mock.always(&format!("/releases/{APP}/r{number}"), app.document_reply());
        mock.always(&app.path(), app.file_reply());
        run(number).expect(0);
    }
    // A third tree, as another instance leaves it while it runs: only its lock file names the app later.
    let third = app(3);
    mock.always(&format!("/releases/{APP}/r3"), third.document_reply());
    mock.always(&third.path(), third.file_reply());
    let lock = fs::File::open(bootstrap.dir().join(format!(".lock-{}", app(1).digest()))).unwrap();
    lock.lock_shared().unwrap();
    run(3).expect(0);
    drop(lock);
    drop(mock);
    for number in [3, 2, 1] {
        run(number).expect(0).says("the repository is away");
    }
}
