//! Hostile and damaged archives are refused with a reason, and never touch files outside the tree.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use platformer_tests::archive::{Entry, Tar, gzip, zstd};
use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::run::Exit;
use platformer_tests::tree::snapshot;

/// Starts an app with this artefact, and asserts that a canary beside its directory is unchanged.
fn unpack(file: &str, artefact: Vec<u8>, settings: &[(&str, &str)]) -> (Exit, Bootstrap) {
    let mock = Mock::start();
    App::new(file, artefact).publish(&mock);
    let mut bootstrap = Bootstrap::of(&mock);
    for (name, value) in settings {
        bootstrap = bootstrap.env(name, *value);
    }
    let canary = bootstrap.home().join("canary");
    fs::create_dir(&canary).unwrap();
    fs::write(canary.join("file"), "alive").unwrap();
    fs::set_permissions(canary.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = snapshot(&canary);
    let ended = bootstrap.run();
    assert_eq!(snapshot(&canary), before);
    (ended, bootstrap)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn hostile_entries_are_refused_with_a_reason() {
    let long = "d/".repeat(3000);
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        (
            "leads out of the tree",
            vec![Entry::file("../canary/file", "dead")],
        ),
        (
            "leads out of the tree",
            vec![Entry::file("a/../../canary/file", "dead")],
        ),
        ("leads out of the tree", vec![Entry::directory("a/..")]),
        (
            "is an absolute path",
            vec![Entry::file("/tmp/canary", "dead")],
        ),
        ("has an empty name", vec![Entry::file("", "dead")]),
        (
            "symbolic link out of the tree",
            vec![Entry::symlink("l", "/etc")],
        ),
        (
            "symbolic link out of the tree",
            vec![Entry::symlink("l", "../../canary")],
        ),
        (
            "symbolic link out of the tree",
            vec![Entry::symlink("a/l", ".."), Entry::symlink("a/m", "l/..")],
        ),
        (
            "hard link",
            vec![Entry::hard_link("l", "../../canary/file")],
        ),
        ("hard link", vec![Entry::hard_link("l", "/etc/passwd")]),
        ("hard link", vec![Entry::hard_link("l", "missing")]),
        (
            "hard link",
            vec![Entry::symlink("s", "f"), Entry::hard_link("l", "s")],
        ),
        (
            "hard link",
            vec![Entry::directory("d"), Entry::hard_link("l", "d")],
        ),
        // Bootstrap follows no link from the archive, even if its target is inside the tree.
        (
            "leads through something",
            vec![
                Entry::directory("d"),
                Entry::symlink("l", "d"),
                Entry::file("l/f", "x"),
            ],
        ),
        (
            "leads through something",
            vec![Entry::file("f", "x"), Entry::file("f/g", "x")],
        ),
        (
            "leads through something",
            vec![
                Entry::directory("d"),
                Entry::symlink("l", "d"),
                Entry::directory("l").mode(0o777),
            ],
        ),
        (
            "is there twice",
            vec![Entry::directory("d"), Entry::symlink("d", "x")],
        ),
        ("is a device", vec![Entry::new("device", b'3')]),
        ("is a device", vec![Entry::new("device", b'4')]),
        ("is a named pipe", vec![Entry::new("pipe", b'6')]),
        ("is a sparse file", vec![Entry::new("sparse", b'S')]),
        (
            "sparse file",
            vec![Entry::pax("GNU.sparse.major", "1"), Entry::file("f", "x")],
        ),
        ("of type 'V'", vec![Entry::new("volume", b'V')]),
        (
            "has different sizes in its header",
            vec![Entry::pax("size", "9"), Entry::file("f", "x")],
        ),
        (
            "leads out of the tree",
            vec![Entry::pax("path", "../canary/file"), Entry::file("f", "x")],
        ),
        (
            "symbolic link out of the tree",
            vec![Entry::pax("linkpath", "/etc"), Entry::symlink("l", "f")],
        ),
        (
            "global header sets path",
            vec![
                Entry {
                    kind: b'g',
                    ..Entry::pax("path", "x")
                },
                Entry::file("f", "x"),
            ],
        ),
        (
            "128 directories deep",
            vec![Entry::pax("path", &"d/".repeat(129)), Entry::file("f", "x")],
        ),
        (
            "has content, but isn't a file",
            vec![Entry {
                content: vec![b'x'; 600],
                ..Entry::directory("d")
            }],
        ),
        (
            "has content, but isn't a file",
            vec![Entry {
                content: vec![b'x'; 600],
                ..Entry::symlink("l", "f")
            }],
        ),
        ("without an entry", vec![Entry::pax("path", "x")]),
        (
            "extended header is malformed",
            vec![
                Entry {
                    content: b"11 path=a\nxx".to_vec(),
                    ..Entry::new("pax", b'x')
                },
                Entry::file("f", "x"),
            ],
        ),
        (
            "more than 3072 bytes",
            vec![Entry::pax("path", &long), Entry::file("f", "x")],
        ),
        (
            "larger than 64 KiB",
            vec![
                Entry {
                    content: vec![b'x'; 70_000],
                    ..Entry::new("long", b'L')
                },
                Entry::file("f", "x"),
            ],
        ),
        (
            "larger than 64 KiB",
            vec![Entry::new("pax", b'x').size(1 << 32)],
        ),
    ];
    for (reason, entries) in cases {
        let names: Vec<_> = entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
            .collect();
        let tar = Tar::new(entries).finish();
        let (ended, bootstrap) = unpack("hello-1.0.0.tar", tar, &[]);
        assert!(
            ended.code == 65 && ended.stderr.contains(reason),
            "{names:?}: {} {}",
            ended.code,
            ended.stderr
        );
        let trees = fs::read_dir(bootstrap.dir()).unwrap().flatten();
        let trees = trees.filter(|entry| entry.file_name().len() == 64).count();
        assert_eq!(trees, 0, "{names:?} left a tree");
    }
}

#[test]
fn bombs_are_refused_while_they_unpack() {
    let zeros = Tar::new([Entry::file("zeros", vec![0; 8 << 20])]).finish();
    for (file, artefact) in [
        ("hello-1.0.0.tar.gz", gzip(&zeros)),
        ("hello-1.0.0.tar.zst", zstd(&zeros)),
        ("hello-1.0.0.tar", zeros.clone()),
    ] {
        let (ended, _) = unpack(file, artefact, &[("BOOTSTRAP_MAX_UNPACKED", "1MiB")]);
        ended.expect(65).says("BOOTSTRAP_MAX_UNPACKED");
    }
    let file = vec![0; 2 << 20];
    let (ended, _) = unpack("data.bin", file, &[("BOOTSTRAP_MAX_UNPACKED", "1MiB")]);
    ended.expect(65).says("BOOTSTRAP_MAX_UNPACKED");
}

#[test]
fn limits_are_exact() {
    let entries = (0..10).map(|number| Entry::file(format!("f{number}"), "x"));
    let tar = Tar::new(entries).finish();
    for (limit, code) in [("9", 65), ("10", 0), ("11", 0)] {
        let (ended, _) = unpack(
            "hello-1.0.0.tar",
            tar.clone(),
            &[("BOOTSTRAP_MAX_ENTRIES", limit)],
        );
        ended.expect(code);
    }
    for (limit, code) in [(tar.len() - 1, 65), (tar.len(), 0), (tar.len() + 1, 0)] {
        let limit = format!("{limit}B");
        let (ended, _) = unpack(
            "hello-1.0.0.tar",
            tar.clone(),
            &[("BOOTSTRAP_MAX_UNPACKED", &limit)],
        );
        ended.expect(code);
    }
    for (limit, code) in [(tar.len() - 1, 65), (tar.len(), 0)] {
        let limit = format!("{limit}B");
        let (ended, _) = unpack(
            "hello-1.0.0.tar",
            tar.clone(),
            &[("BOOTSTRAP_MAX_DOWNLOAD", &limit)],
        );
        ended.expect(code);
    }
}

#[test]
fn implied_directories_count_as_entries() {
    let deep = |number: u32| format!("{}{number}", "d/".repeat(60));
    let entries = (0..3).map(|number| {
        Entry::file(
            format!("{number}/{}", deep(number).replace("d/", "e/")),
            "x",
        )
    });
    let tar = Tar::new(entries.flat_map(|entry| {
        let path = String::from_utf8(entry.name.clone()).unwrap();
        [Entry::pax("path", &path), entry]
    }))
    .finish();
    // Three files, three extended headers, and three times 61 directories.
    for (limit, code) in [("188", 65), ("189", 0)] {
        unpack(
            "hello-1.0.0.tar",
            tar.clone(),
            &[("BOOTSTRAP_MAX_ENTRIES", limit)],
        )
        .0
        .expect(code);
    }
}

#[test]
fn a_truncated_archive_or_data_after_its_end_is_refused() {
    let entries = || Tar::new([Entry::file("f", vec![0; 2048])]);
    let whole = entries().finish();
    let with_trailer = [whole.clone(), b"something".to_vec()].concat();
    let cases = [
        ("no end marker", entries().unfinished()),
        ("follows its end marker", with_trailer),
        ("cannot be read", whole[..1024].to_vec()),
        ("no end marker", Vec::new()),
    ];
    for (reason, artefact) in cases {
        let (ended, _) = unpack("hello-1.0.0.tar", artefact.clone(), &[]);
        assert!(
            ended.code == 65 && ended.stderr.contains(reason),
            "{reason}: {} {}",
            ended.code,
            ended.stderr
        );
        let (ended, _) = unpack("hello-1.0.0.tar.gz", gzip(&artefact), &[]);
        ended.expect(65);
    }
    let compressed = gzip(&whole);
    for artefact in [
        compressed[..compressed.len() - 4].to_vec(),
        [compressed.clone(), b"junk".to_vec()].concat(),
    ] {
        let (ended, _) = unpack("hello-1.0.0.tar.gz", artefact, &[]);
        ended.expect(65).says("cannot be read as gzip");
    }
    // Valid: GNU tar pads with zeros to its record size, and gzip files may have several members.
    let padded = [whole.clone(), vec![0; 10_240]].concat();
    unpack("hello-1.0.0.tar", padded, &[]).0.expect(0);
    let halves = [gzip(&whole[..700]), gzip(&whole[700..])].concat();
    unpack("hello-1.0.0.tar.gz", halves, &[]).0.expect(0);
}

#[test]
fn modes_times_and_names_are_preserved_but_not_setuid() {
    let tar = Tar::new([
        Entry::directory("closed").mode(0o500),
        Entry::file("closed/inside", "x").mode(0o6755),
        Entry::file("closed/inside", "the second of two").mode(0o640),
        Entry::file("setuid", "x").mode(0o4755),
        Entry::pax("path", &format!("{}/deep", "n".repeat(200))),
        Entry::file("f", "long"),
        Entry::file(b"not-utf8-\xff", "x"),
        Entry::pax("SCHILY.xattr.user.x", "two\nlines"),
        Entry::symlink("replaced", "setuid"),
        Entry::file("replaced", "a file now"),
        Entry {
            kind: b'g',
            ..Entry::pax("comment", "as git archive writes it")
        },
    ])
    .finish();
    let digest = platformer_tests::fixture::digest(&tar);
    let (ended, bootstrap) = unpack("hello-1.0.0.tar", tar, &[]);
    ended.expect(0).says("setuid or setgid");
    let tree = bootstrap.dir().join(digest.to_string());
    let mode = |path: &str| fs::symlink_metadata(tree.join(path)).unwrap().mode() & 0o7777;
    assert_eq!(
        mode("closed"),
        0o700,
        "the owner can always enter a directory"
    );
    assert_eq!(mode("closed/inside"), 0o640);
    assert_eq!(mode("setuid"), 0o755);
    assert_eq!(
        fs::read(tree.join("closed/inside")).unwrap(),
        b"the second of two"
    );
    assert_eq!(
        fs::read(tree.join(format!("{}/deep", "n".repeat(200)))).unwrap(),
        b"long"
    );
    assert_eq!(
        fs::read(tree.join("setuid")).unwrap(),
        b"x",
        "not overwritten through the replaced link"
    );
    assert_eq!(fs::read(tree.join("replaced")).unwrap(), b"a file now");
    assert_eq!(
        fs::metadata(tree.join("setuid")).unwrap().mtime(),
        0o14_000_000_000
    );
    assert!(Bootstrap::dir(&bootstrap).exists());
}
