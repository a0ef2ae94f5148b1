//! Archives that were made to do harm: some hundreds, from families of tricks. None of them changes
//! anything outside of the tree, and none is accepted that other programs read differently.

mod listing;
mod tricks;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use platformer_tests::archive::{Entry, Tar, gzip, zstd};
use platformer_tests::binaries;
use platformer_tests::bombs::bombs;
use platformer_tests::dice::Dice;
use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::tree::snapshot;

use listing::everybody_reads_the_same;
use tricks::FAMILIES;

const SEEDS: usize = 6;

fn make_canary(home: &Path) -> PathBuf {
    let canary = home.join("canary");
    fs::create_dir_all(canary.join("directory")).unwrap();
    for file in ["file", "directory/file"] {
        fs::write(canary.join(file), "do not touch").unwrap();
        fs::set_permissions(canary.join(file), fs::Permissions::from_mode(0o640)).unwrap();
    }
    canary
}

/// One archive; the tree if it was accepted.
fn unpack(
    what: &str,
    file: &str,
    artefact: Vec<u8>,
    bootstrap: &Bootstrap,
    canary: &Path,
) -> Option<PathBuf> {
    let mock = Mock::start();
    let app = App::new(file, artefact);
    app.publish(&mock);
    let before = snapshot(canary);
    let ended = bootstrap.at(&mock).run();
    assert_eq!(
        snapshot(canary),
        before,
        "{what}: the canary; {}",
        ended.stderr
    );
    assert!(
        [0, 65].contains(&ended.code),
        "{what}: {} {}",
        ended.code,
        ended.stderr
    );
    assert!(!ended.stderr.contains('\x1b'), "{what}: {}", ended.stderr);
    let tree = bootstrap.dir().join(app.digest().to_string());
    for (path, seen) in tree.is_dir().then(|| snapshot(&tree)).into_iter().flatten() {
        assert_eq!(seen.mode & 0o7000, 0, "{what}: {}", path.display());
        assert_ne!(seen.kind, '?', "{what}: {}", path.display());
    }
    (ended.code == 0).then_some(tree)
}

#[test]
fn hundreds_of_tricks_change_nothing_outside() {
    let jobs: Vec<(usize, usize)> = (0..FAMILIES.len())
        .flat_map(|family| (0..SEEDS).map(move |seed| (family, seed)))
        .collect();
    let accepted = Mutex::new(Vec::new());
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bootstrap = Bootstrap::with(&[]).arg("fetch").arg("hello");
                let canary = make_canary(bootstrap.home());
                while let Some((family, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (name, make) = FAMILIES[*family];
                    let mut dice = Dice::new((family * SEEDS + seed) as u64);
                    let tar = make(&mut dice, &canary);
                    let what = format!("{name}, seed {seed}");
                    let forms = [
                        ("hello-1.0.0.tar", tar.clone()),
                        ("hello-1.0.0.tar.gz", gzip(&tar)),
                        ("hello-1.0.0.tar.zst", zstd(&tar)),
                    ];
                    let trees = forms.map(|(file, artefact)| {
                        count.fetch_add(1, Ordering::Relaxed);
                        // The directory keeps only the last two trees.
                        unpack(&what, file, artefact, &bootstrap, &canary)
                            .map(|tree| snapshot(&tree))
                    });
                    let outcomes = trees.each_ref().map(Option::is_some);
                    assert_eq!(outcomes, [outcomes[0]; 3], "{what}: compressed or not");
                    let [tree, _, _] = trees;
                    if let Some(tree) = tree {
                        accepted.lock().unwrap().push((what, tar, tree));
                    }
                }
            });
        }
    });
    let count = count.into_inner();
    assert!(count >= 400, "{count}");
    let accepted = accepted.into_inner().unwrap();
    assert!(!accepted.is_empty(), "strange names are names");
    everybody_reads_the_same(&accepted);
}

/// Bombs, against caps of 1 GiB and 50,000 entries: refused, and in little memory.
#[test]
fn bombs_are_refused_in_little_memory() {
    for (reason, bomb) in bombs() {
        let mock = Mock::start();
        App::new("hello-1.0.0.tar.gz", bomb).publish(&mock);
        let bootstrap = Bootstrap::with(&["fetch", "hello", &mock.address().to_string()])
            .env("BOOTSTRAP_DEADLINE", "100s")
            .env("BOOTSTRAP_MAX_UNPACKED", "1GiB")
            .env("BOOTSTRAP_MAX_ENTRIES", "50000");
        let probe = binaries::probe();
        let ended = bootstrap
            .spawn_under(&[probe.to_str().unwrap(), "peak"])
            .wait();
        ended.expect(65).says(reason);
        let peak: u64 = ended.stdout.lines().last().unwrap().parse().unwrap();
        assert!(peak < 64 << 10, "{reason}: {peak} KiB");
        let left: Vec<_> = fs::read_dir(bootstrap.dir())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(
            !left
                .iter()
                .any(|name| name.to_string_lossy().starts_with(".staging")),
            "{left:?}"
        );
    }
}

/// Somebody who may write to the directory swaps a directory of the tree for a link, again and again.
#[test]
fn a_link_that_is_swapped_in_leads_nowhere() {
    let entries = (0..3000).map(|number| Entry::file(format!("d/e/f{number}"), "evil"));
    let tar = gzip(&Tar::new(entries).finish());
    let mut swaps = 0;
    for _ in 0..10 {
        let mock = Mock::start();
        App::new("hello-1.0.0.tar.gz", tar.clone()).publish(&mock);
        let bootstrap = Bootstrap::with(&["fetch", "hello", &mock.address().to_string()]);
        let canary = make_canary(bootstrap.home());
        let before = snapshot(&canary);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                let mut swaps = 0;
                while !done.load(Ordering::Relaxed) {
                    for staging in fs::read_dir(bootstrap.dir())
                        .into_iter()
                        .flatten()
                        .flatten()
                    {
                        let (from, aside) =
                            (staging.path().join("d"), staging.path().join("aside"));
                        if fs::rename(&from, &aside).is_ok() {
                            let _ = std::os::unix::fs::symlink(canary.join("directory"), &from);
                            let _ = fs::remove_file(&from);
                            let _ = fs::rename(&aside, &from);
                            swaps += 1;
                        }
                    }
                }
                swaps
            });
            bootstrap.run();
            done.store(true, Ordering::Relaxed);
            swaps += swapper.join().unwrap();
        });
        assert_eq!(snapshot(&canary), before);
    }
    assert!(swaps > 0, "it was tried");
}
