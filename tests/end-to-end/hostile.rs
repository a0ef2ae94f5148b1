//! Archives that were made to do harm: some hundreds, from families of tricks. None of them changes
//! anything outside of the tree, and none is accepted that other programs read differently.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use platformer_tests::archive::{Entry, Tar, gzip, zstd};
use platformer_tests::binaries;
use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::skip::skip;

/// Small numbers that differ from seed to seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    /// A way out of the tree, to the file or directory `to` of the canary.
    fn out(&mut self, canary: &Path, to: &str) -> String {
        let absolute = canary.join(to).display().to_string();
        // The tree lies in DIR/.staging-…, and DIR beside the canary.
        match self.roll(5) {
            0 => absolute,
            1 => format!("/{absolute}"),
            2 => format!("../../canary/{to}"),
            3 => format!("./../../canary/{to}"),
            _ => format!("a/../../../canary/{to}"),
        }
    }

    fn inside(&mut self) -> String {
        let directory = self.pick(&["", "a/", "a/b/", "./", "a//b/"]);
        let name = self.pick(&["f", "g", "h.txt", "Z"]);
        format!("{directory}{name}")
    }
}

fn gnu_long(kind: u8, text: &str) -> Entry {
    Entry {
        content: [text.as_bytes(), b"\0"].concat(),
        ..Entry::new("././@LongLink", kind)
    }
}

/// Sets the checksum of the first header.
fn sum_up(bytes: &mut [u8]) {
    bytes[148..156].copy_from_slice(b"        ");
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

type Family = fn(&mut Dice, &Path) -> Vec<u8>;

/// The tricks, each by what it is called where it was used.
const FAMILIES: [(&str, Family); 25] = [
    ("name that leads out", |dice, canary| {
        Tar::new([Entry::file(dice.out(canary, "file"), "evil")]).finish()
    }),
    ("directory that leads out", |dice, canary| {
        Tar::new([Entry::directory(dice.out(canary, "directory")).mode(0o777)]).finish()
    }),
    ("file through a symbolic link", |dice, canary| {
        let target = dice.out(canary, "directory");
        Tar::new([Entry::symlink("l", target), Entry::file("l/file", "evil")]).finish()
    }),
    ("file over a symbolic link", |dice, canary| {
        let target = dice.out(canary, "file");
        Tar::new([Entry::symlink("l", target), Entry::file("l", "evil")]).finish()
    }),
    ("chain of symbolic links", |dice, _| {
        let mut entries = vec![Entry::directory("a"), Entry::directory("a/b")];
        entries.push(Entry::symlink("a/b/up", ".."));
        entries.push(Entry::symlink(
            "up",
            dice.pick(&["a/b/up/..", "a/b/up/../..", "a/b/up"]),
        ));
        entries.push(Entry::file("up/../../canary/file", "evil"));
        Tar::new(entries).finish()
    }),
    ("hard link that leads out", |dice, canary| {
        let target = dice.out(canary, "file");
        Tar::new([Entry::hard_link("h", target), Entry::file("h", "evil")]).finish()
    }),
    ("hard link through a symbolic link", |dice, canary| {
        let target = dice.out(canary, "directory");
        Tar::new([Entry::symlink("l", target), Entry::hard_link("h", "l/file")]).finish()
    }),
    ("hard link to a symbolic link", |dice, canary| {
        let target = dice.out(canary, "file");
        Tar::new([
            Entry::symlink("l", target),
            Entry::hard_link("h", "l"),
            Entry::file("h", "evil"),
        ])
        .finish()
    }),
    ("directory that becomes a link", |dice, canary| {
        let target = dice.out(canary, "directory");
        Tar::new([
            Entry::directory("d"),
            Entry::symlink("d", target),
            Entry::file("d/file", "evil"),
        ])
        .finish()
    }),
    ("link that becomes a directory", |dice, canary| {
        let target = dice.out(canary, "directory");
        Tar::new([
            Entry::symlink("d", target),
            Entry::directory("d").mode(0o777),
            Entry::file("d/file", "evil"),
        ])
        .finish()
    }),
    ("mode through a link", |dice, canary| {
        let target = dice.out(canary, "file");
        Tar::new([
            Entry::symlink("l", target).mode(0o777),
            Entry::directory("l/").mode(0o777),
        ])
        .finish()
    }),
    ("devices and pipes", |dice, _| {
        let kind = [b'3', b'4', b'6', b'7', b'S', b'V', b'M', b'D', b'Z', b'A'][dice.roll(10)];
        Tar::new([Entry::file("f", "good"), Entry::new("node", kind)]).finish()
    }),
    ("PAX path", |dice, canary| {
        let path = dice.out(canary, "file");
        Tar::new([Entry::pax("path", &path), Entry::file("f", "evil")]).finish()
    }),
    ("PAX link path", |dice, canary| {
        let path = dice.out(canary, "file");
        let kind = [b'1', b'2'][dice.roll(2)];
        Tar::new([
            Entry::pax("linkpath", &path),
            Entry::new("l", kind),
            Entry::file("l", "evil"),
        ])
        .finish()
    }),
    ("PAX size", |dice, _| {
        let size = dice.pick(&["0", "1", "512", "1024", "99999999999", "-1", "1e3"]);
        let inner = Tar::new([Entry::file("smuggled", "evil")]).unfinished();
        Tar::new([
            Entry::pax("size", size),
            Entry::file("f", inner),
            Entry::file("g", "good"),
        ])
        .finish()
    }),
    ("PAX header for all", |dice, canary| {
        let path = dice.out(canary, "file");
        let key = dice.pick(&["path", "linkpath", "size", "GNU.sparse.name"]);
        let mut global = Entry::pax(key, &path);
        global.kind = b'g';
        Tar::new([global, Entry::file("f", "evil")]).finish()
    }),
    ("GNU long name", |dice, canary| {
        let path = dice.out(canary, "file");
        let before = dice.roll(2) == 0;
        let mut entries = vec![gnu_long(b'L', &path)];
        if before {
            entries.push(Entry::pax("path", "f"));
        }
        entries.push(Entry::file("g", "evil"));
        Tar::new(entries).finish()
    }),
    ("GNU long link", |dice, canary| {
        let path = dice.out(canary, "file");
        let kind = [b'1', b'2'][dice.roll(2)];
        Tar::new([
            gnu_long(b'K', &path),
            Entry::new("l", kind),
            Entry::file("l", "evil"),
        ])
        .finish()
    }),
    ("setuid, setgid and sticky", |dice, _| {
        let mode = [0o4755, 0o2755, 0o6777, 0o1777, 0o7777][dice.roll(5)];
        Tar::new([
            Entry::file("s", "#!/bin/sh\n").mode(mode),
            Entry::directory("d").mode(mode),
        ])
        .finish()
    }),
    ("one name twice", |dice, _| {
        let (first, second) = (dice.inside(), dice.inside());
        let kinds = [
            Entry::file(&first, "one"),
            Entry::directory(&first),
            Entry::symlink(&first, "elsewhere"),
        ];
        let entry = kinds[dice.roll(3)].clone();
        Tar::new([
            entry,
            Entry::file(&second, "two"),
            Entry::file(&first, "three"),
        ])
        .finish()
    }),
    ("end too early or too late", |dice, _| {
        let mut tar = Tar::new([Entry::file("f", "good"), Entry::file("g", "good")]);
        match dice.roll(6) {
            0 => tar.unfinished(),
            1 => tar.finish()[..1300].to_vec(),
            2 => [tar.finish(), Tar::new([Entry::file("h", "evil")]).finish()].concat(),
            3 => [tar.finish(), vec![0; 512], b"evil".to_vec()].concat(),
            4 => {
                let mut bytes = tar.finish();
                bytes.truncate(bytes.len() - 512);
                bytes
            }
            _ => {
                tar.push(&Entry::file("h", "short").size(1 << 20));
                tar.finish()
            }
        }
    }),
    ("damaged header", |dice, _| {
        let mut bytes = Tar::new([Entry::file("f", "good"), Entry::file("g", "good")]).finish();
        let position = dice.roll(512) + 1024 * dice.roll(2);
        bytes[position] ^= 1 << dice.roll(8);
        bytes
    }),
    ("strange names", |dice, _| {
        let name: &[u8] = [
            &b"a\nb"[..],
            b"\x1b[2Jx",
            b"\xff\xfe",
            b" ",
            b"-rf",
            b"a\\b",
            b"*",
            b"..x",
            b"...",
            b"a/./b",
            b"x/",
            b"C:\\x",
            b"\xe2\x80\xae",
            b"~root",
            b"$(x)",
        ][dice.roll(15)];
        Tar::new([Entry::file(name, "content")]).finish()
    }),
    ("half a path in the prefix", |dice, _| {
        let mut bytes = Tar::new([Entry::file("f", "content")]).finish();
        let forms = [
            b"ustar\x0000",
            b"ustar\0\0\0",
            b"ustar\0  ",
            b"ustarX00",
            b"ustar  \0",
            b"\0\0\0\0\0\0\0\0",
        ];
        bytes[257..265].copy_from_slice(forms[dice.roll(forms.len())]);
        bytes[345..348].copy_from_slice(b"sub");
        sum_up(&mut bytes);
        bytes
    }),
    ("sizes in base 256", |dice, _| {
        let mut bytes = Tar::new([Entry::file("f", "content"), Entry::file("g", "more")]).finish();
        let size: [u8; 12] = match dice.roll(4) {
            0 => [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
            1 => [0xff; 12],
            2 => [
                0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            _ => [0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        };
        bytes[124..136].copy_from_slice(&size);
        sum_up(&mut bytes);
        bytes
    }),
];

const SEEDS: usize = 6;

#[derive(Debug, PartialEq, Eq, Clone)]
struct Seen {
    kind: char,
    mode: u32,
    mtime: i64,
    content: Vec<u8>,
}

/// Everything below a directory, by its path.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = if metadata.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            ('d', Vec::new())
        } else if metadata.is_symlink() {
            (
                'l',
                fs::read_link(&path)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec(),
            )
        } else if metadata.is_file() {
            ('f', fs::read(&path).unwrap())
        } else {
            ('?', Vec::new())
        };
        let seen = Seen {
            kind,
            mode: metadata.mode(),
            mtime: metadata.mtime(),
            content,
        };
        found.insert(path.strip_prefix(directory).unwrap().to_owned(), seen);
    }
    found
}

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
                    let number = (family * SEEDS + seed + 1) as u64;
                    let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    dice.roll(2);
                    let tar = make(&mut dice, &canary);
                    let what = format!("{name}, seed {seed}");
                    let forms = [
                        ("hello-1.0.0.tar", tar.clone()),
                        ("hello-1.0.0.tar.gz", gzip(&tar)),
                        ("hello-1.0.0.tar.zst", zstd(&tar)),
                    ];
                    let trees = forms.map(|(file, artefact)| {
                        count.fetch_add(1, Ordering::Relaxed);
                        unpack(&what, file, artefact, &bootstrap, &canary)
                    });
                    let outcomes = trees.each_ref().map(Option::is_some);
                    assert_eq!(outcomes, [outcomes[0]; 3], "{what}: compressed or not");
                    if let Some(tree) = &trees[0] {
                        accepted.lock().unwrap().push((what, tar, snapshot(tree)));
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

/// Lists names with their kinds and sizes, one a line.
const PYTHON: &str = r#"
import sys, tarfile
for path in sys.argv[1:]:
    with tarfile.open(path) as archive:
        for member in archive:
            kind = "d" if member.isdir() else "l" if member.issym() else "h" if member.islnk() else "f" if member.isreg() else "?"
            name = member.name.encode("utf-8", "surrogateescape").hex()
            print(kind, member.size if kind == "f" else 0, name)
    print("=")
"#;

/// What was accepted holds what three other programs say that it holds.
fn everybody_reads_the_same(accepted: &[(String, Vec<u8>, BTreeMap<PathBuf, Seen>)]) {
    for program in ["python3", "bsdtar"] {
        if Command::new(program).arg("--version").output().is_err() {
            return skip(
                "everybody_reads_the_same",
                &format!("there is no {program}"),
            );
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (number, (_, tar, _)) in accepted.iter().enumerate() {
        let path = directory.path().join(format!("{number}.tar"));
        fs::write(&path, tar).unwrap();
        paths.push(path);
    }
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .args(&paths)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<&str> = text.split("=\n").collect();
    assert_eq!(
        listed.len(),
        accepted.len() + 1,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for ((path, (what, _, tree)), listed) in paths.iter().zip(accepted).zip(listed) {
        let mut python = Vec::new();
        for line in listed.lines() {
            let mut words = line.split(' ');
            let (kind, size, name) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap_or(""),
            );
            let bytes = (0..name.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&name[at..at + 2], 16).unwrap());
            python.push((
                kind.chars().next().unwrap(),
                size.parse::<usize>().unwrap(),
                normal(&bytes.collect::<Vec<u8>>()),
            ));
        }
        for (kind, size, name) in &python {
            let last = python
                .iter()
                .rev()
                .find(|(_, _, other)| other == name)
                .unwrap();
            if (last.0, last.1) != (*kind, *size) {
                continue;
            }
            let seen = tree.get(Path::new(std::ffi::OsStr::from_bytes(name)));
            let seen = seen.unwrap_or_else(|| {
                panic!(
                    "{what}: python lists {kind} {}",
                    String::from_utf8_lossy(name)
                )
            });
            let expected = if *kind == 'h' { 'f' } else { *kind };
            assert_eq!(seen.kind, expected, "{what}");
            assert!(*kind != 'f' || seen.content.len() == *size, "{what}");
        }
        for (name, seen) in tree.iter().filter(|(_, seen)| seen.kind != 'd') {
            let known = python
                .iter()
                .any(|(_, _, other)| other == name.as_os_str().as_bytes());
            assert!(
                known,
                "{what}: python does not list {} {seen:?}",
                name.display()
            );
        }
        let names: Vec<Vec<u8>> = python.into_iter().map(|(_, _, name)| name).collect();
        assert_eq!(
            lines(Command::new("bsdtar").arg("-tf").arg(path)),
            shown(&names),
            "{what}: bsdtar"
        );
        let gnu = lines(
            Command::new("tar")
                .args(["--quoting-style=literal", "-tf"])
                .arg(path),
        );
        assert_eq!(gnu, shown(&names), "{what}: GNU tar");
    }
}

/// Without `.` and double or final slashes.
fn normal(name: &[u8]) -> Vec<u8> {
    let path: PathBuf = Path::new(std::ffi::OsStr::from_bytes(name))
        .components()
        .filter(|component| *component != std::path::Component::CurDir)
        .collect();
    path.as_os_str().as_bytes().to_vec()
}

/// What a program prints, by line; names that hold a line feed or what a program shows in its own way
/// are left out on both sides.
fn lines(command: &mut Command) -> Vec<Vec<u8>> {
    let output = command.env("LC_ALL", "C").output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Vec<u8>> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .map(normal)
        .collect();
    shown(&lines)
}

fn shown(names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let plain = |name: &&Vec<u8>| {
        !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
    };
    names.iter().filter(plain).cloned().collect()
}

/// Bombs, against caps of 1 GiB and 50,000 entries: refused, and in little memory.
#[test]
fn bombs_are_refused_in_little_memory() {
    let zeros = gzip(&vec![0; 16 << 20]);
    let head = |size: u64| {
        let mut bytes = Tar::new([Entry::file("zeros", "")]).unfinished();
        bytes[124] = 0x80;
        bytes[125..136].copy_from_slice(&[&[0; 3][..], &size.to_be_bytes()].concat());
        sum_up(&mut bytes);
        bytes
    };
    let ten_gibibytes = [gzip(&head(10 << 30)), zeros.repeat(640)].concat();
    // Each within the cap, all together not.
    let many_files = [gzip(&head(16 << 20)), zeros.clone()].concat().repeat(100);
    let names = gzip(
        &Tar::new((0..10_000).map(|number| Entry::file(format!("f{number}"), ""))).unfinished(),
    );
    let deep = "d/".repeat(100_000);
    let sparse = Tar::new([Entry::new("sparse", b'S').size(1 << 40)]).finish();
    let pax_sparse = Tar::new([
        Entry::pax("GNU.sparse.realsize", "1099511627776"),
        Entry::file("s", ""),
    ])
    .finish();
    let bombs = [
        ("unpacks to more than", ten_gibibytes),
        ("unpacks to more than", many_files),
        ("more than 50000 entries", names.repeat(1000)),
        (
            "larger than 64 KiB",
            gzip(&Tar::new([Entry::pax("path", &deep), Entry::file("f", "")]).finish()),
        ),
        (
            "larger than 64 KiB",
            gzip(&Tar::new([gnu_long(b'L', &deep), Entry::file("f", "")]).finish()),
        ),
        ("unpacks to more than", gzip(&sparse)),
        (
            "sparse",
            gzip(&Tar::new([Entry::new("sparse", b'S')]).finish()),
        ),
        ("sparse", gzip(&pax_sparse)),
    ];
    for (reason, bomb) in bombs {
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
