//! Generators of hostile archives. Each seed gives a variant.

use std::path::Path;

use platformer_tests::archive::{self, Entry, Tar};
use platformer_tests::dice::Dice;

/// Returns a path that leads out of the tree, to the file or directory `to` of the canary.
fn out(dice: &mut Dice, canary: &Path, to: &str) -> String {
    let absolute = canary.join(to).display().to_string();
    // Bootstrap unpacks in DIR/.staging-…, and the canary is beside DIR.
    match dice.roll(5) {
        0 => absolute,
        1 => format!("/{absolute}"),
        2 => format!("../../canary/{to}"),
        3 => format!("./../../canary/{to}"),
        _ => format!("a/../../../canary/{to}"),
    }
}

fn inside(dice: &mut Dice) -> String {
    let directory = dice.pick(&["", "a/", "a/b/", "./", "a//b/"]);
    let name = dice.pick(&["f", "g", "h.txt", "Z"]);
    format!("{directory}{name}")
}

pub(super) type Family = fn(&mut Dice, &Path) -> Vec<u8>;

pub(super) const FAMILIES: [(&str, Family); 25] = [
    ("name that leads out", |dice, canary| {
        Tar::new([Entry::file(out(dice, canary, "file"), "evil")]).finish()
    }),
    ("directory that leads out", |dice, canary| {
        Tar::new([Entry::directory(out(dice, canary, "directory")).mode(0o777)]).finish()
    }),
    ("file through a symbolic link", |dice, canary| {
        let target = out(dice, canary, "directory");
        Tar::new([Entry::symlink("l", target), Entry::file("l/file", "evil")]).finish()
    }),
    ("file over a symbolic link", |dice, canary| {
        let target = out(dice, canary, "file");
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
        let target = out(dice, canary, "file");
        Tar::new([Entry::hard_link("h", target), Entry::file("h", "evil")]).finish()
    }),
    ("hard link through a symbolic link", |dice, canary| {
        let target = out(dice, canary, "directory");
        Tar::new([Entry::symlink("l", target), Entry::hard_link("h", "l/file")]).finish()
    }),
    ("hard link to a symbolic link", |dice, canary| {
        let target = out(dice, canary, "file");
        Tar::new([
            Entry::symlink("l", target),
            Entry::hard_link("h", "l"),
            Entry::file("h", "evil"),
        ])
        .finish()
    }),
    ("directory that becomes a link", |dice, canary| {
        let target = out(dice, canary, "directory");
        Tar::new([
            Entry::directory("d"),
            Entry::symlink("d", target),
            Entry::file("d/file", "evil"),
        ])
        .finish()
    }),
    ("link that becomes a directory", |dice, canary| {
        let target = out(dice, canary, "directory");
        Tar::new([
            Entry::symlink("d", target),
            Entry::directory("d").mode(0o777),
            Entry::file("d/file", "evil"),
        ])
        .finish()
    }),
    ("mode through a link", |dice, canary| {
        let target = out(dice, canary, "file");
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
        let path = out(dice, canary, "file");
        Tar::new([Entry::pax("path", &path), Entry::file("f", "evil")]).finish()
    }),
    ("PAX link path", |dice, canary| {
        let path = out(dice, canary, "file");
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
        let path = out(dice, canary, "file");
        let key = dice.pick(&["path", "linkpath", "size", "GNU.sparse.name"]);
        let mut global = Entry::pax(key, &path);
        global.kind = b'g';
        Tar::new([global, Entry::file("f", "evil")]).finish()
    }),
    ("GNU long name", |dice, canary| {
        let path = out(dice, canary, "file");
        let before = dice.roll(2) == 0;
        let mut entries = vec![Entry::gnu_long(b'L', &path)];
        if before {
            entries.push(Entry::pax("path", "f"));
        }
        entries.push(Entry::file("g", "evil"));
        Tar::new(entries).finish()
    }),
    ("GNU long link", |dice, canary| {
        let path = out(dice, canary, "file");
        let kind = [b'1', b'2'][dice.roll(2)];
        Tar::new([
            Entry::gnu_long(b'K', &path),
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
        let (first, second) = (inside(dice), inside(dice));
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
        archive::set_checksum(&mut bytes);
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
        archive::set_checksum(&mut bytes);
        bytes
    }),
];
