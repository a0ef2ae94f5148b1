//! The layout of the sources: no crate of the workspace has an import cycle, and each directory of `repository/src`
//! imports only from the directories below it.
//!
//! The rule for cycles holds for the children of each module, from the crate root down. A child counts with everything
//! below it. A child that imports an item of another child depends on it. These dependencies must form no cycle.
//!
//! - An import counts for the module that defines the item: `pub use` in between is resolved.
//! - A module file and the folder of its name are one unit. A child may use what its parent's file defines (an error
//!   type, say), although the parent uses the child: from outside, both are one module.
//! - The crate root is the exception: it uses everything, so a module that it uses must not use what it defines.
//! - Tests inside a module (`#[cfg(test)] mod …`) may import anything.

mod modules;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use modules::Crate;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The roots of all crates: `src/main.rs` and `src/lib.rs` beside each manifest.
fn roots() -> Vec<PathBuf> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1;
    let members = members.split_once(']').unwrap().0;
    members
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .flat_map(|member| ["main.rs", "lib.rs"].map(|root| format!("{member}/src/{root}")))
        .map(|root| workspace().join(root))
        .filter(|root| root.is_file())
        .collect()
}

fn read(root: &Path) -> Crate {
    Crate::read(root, &|path| fs::read_to_string(path).ok())
}

#[test]
fn no_crate_has_an_import_cycle() {
    let mut cycles = Vec::new();
    let roots = roots();
    assert!(roots.len() > 5, "{roots:?}");
    for root in roots {
        let name = root.strip_prefix(workspace()).unwrap().display();
        let found = read(&root).cycles();
        cycles.extend(found.iter().map(|cycle| format!("{name}: {cycle}")));
    }
    assert!(cycles.is_empty(), "\n{}", cycles.join("\n"));
}

/// The directories of `repository/src` by level, from the top down. Directories of one level don't import each other.
const FLOORS: [&[&str]; 5] = [
    &["cli"],
    &["http"],
    &["upkeep", "transfer"],
    &["domain"],
    &["storage"],
];

#[test]
fn rooms_of_the_repository_import_only_from_below() {
    let repository = read(&workspace().join("repository/src/main.rs"));
    let upward = upward(&repository, &FLOORS);
    assert!(upward.is_empty(), "\n{}", upward.join("\n"));
}

/// The imports that do not lead to a lower floor, and modules that are in no room.
fn upward(found: &Crate, floors: &[&[&str]]) -> Vec<String> {
    let floor = |room: &str| floors.iter().position(|rooms| rooms.contains(&room));
    let mut wrong = Vec::new();
    for arrow in found.arrows_at_top() {
        match (floor(&arrow.from), floor(&arrow.to)) {
            (Some(from), Some(to)) if from < to => {}
            _ => wrong.push(arrow.to_string()),
        }
    }
    wrong
}

#[test]
fn only_http_knows_http() {
    let repository = read(&workspace().join("repository/src/main.rs"));
    let mut files = 0;
    for (module, code) in repository.codes() {
        if module.first().is_some_and(|room| room == "http") {
            continue;
        }
        files += 1;
        for word in ["axum", "StatusCode"] {
            assert!(
                !source::words(code).any(|found| found == word),
                "{} mentions {word}",
                module.join("::")
            );
        }
    }
    assert!(files > 20, "{files}");
}

/// A crate of the given files, whose root is `src/main.rs`.
fn sample(files: &[(&str, &str)]) -> Crate {
    let files: BTreeMap<PathBuf, String> = files
        .iter()
        .map(|(path, text)| (PathBuf::from("src").join(path), (*text).to_owned()))
        .collect();
    Crate::read(Path::new("src/main.rs"), &|path| files.get(path).cloned())
}

#[test]
fn cycles_are_found_through_groups_inline_paths_and_reexports() {
    let root = ("main.rs", "mod a;\nmod b;\nmod c;\nfn main() {}\n");
    let leaf = ("c.rs", "pub(crate) struct C;\n");
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use crate::{b::{self, B}, c::C};", "use super::a;"),
        ("fn f() { crate::b::g(); }", "fn g() { crate::a::f(); }"),
    ] {
        let found = sample(&[root, leaf, ("a.rs", a), ("b.rs", b)]).cycles();
        assert_eq!(found.len(), 1, "{a} {b}: {found:?}");
        assert!(found[0].contains("a -> b"), "{found:?}");
    }
    let reexported = sample(&[
        root,
        leaf,
        ("a.rs", "mod inner;\npub(crate) use inner::Deep;\n"),
        ("a/inner.rs", "use crate::b::B;\npub(crate) struct Deep;\n"),
        ("b.rs", "use crate::a::Deep;\n"),
    ]);
    assert_eq!(reexported.cycles().len(), 1);
    let siblings = sample(&[
        root,
        leaf,
        ("a.rs", "mod one;\nmod two;\npub(crate) use one::One;\n"),
        ("a/one.rs", "use super::two::Two;\n"),
        ("a/two.rs", "use super::One;\n"),
        ("b.rs", ""),
    ]);
    let found = siblings.cycles();
    assert!(
        found.len() == 1 && found[0].contains("a::one -> a::two"),
        "{found:?}"
    );
}

#[test]
fn other_imports_are_not_cycles() {
    let found = sample(&[
        (
            "main.rs",
            "mod a;\nmod b;\nuse a::A;\n// use crate::b::B;\nfn main() {}\n",
        ),
        (
            "a.rs",
            "mod inner;\nuse inner::Inner;\nuse crate::{b::B};\npub(crate) struct A;\npub(crate) struct Error;\n",
        ),
        ("a/inner.rs", "use super::Error;\n"),
        (
            "b.rs",
            "const TEXT: &str = \"crate::a::A\";\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
        ),
    ]);
    assert_eq!(found.cycles(), Vec::<String>::new());
}

#[test]
fn the_root_is_above_what_it_uses() {
    let found = sample(&[
        (
            "main.rs",
            "mod a;\npub(crate) struct Everything;\nfn main() { a::run(); }\n",
        ),
        ("a.rs", "use crate::Everything;\n"),
    ]);
    let cycles = found.cycles();
    assert!(
        cycles.len() == 1 && cycles[0].contains("a -> the crate root"),
        "{cycles:?}"
    );
}

#[test]
fn arrows_that_run_up_are_named() {
    let found = sample(&[
        ("main.rs", "mod http;\nmod domain;\nmod stray;\n"),
        ("http.rs", "use crate::domain::D;\nuse crate::stray::S;\n"),
        ("domain.rs", "mod part;\n"),
        ("domain/part.rs", "fn f() -> crate::http::Status {}\n"),
        ("stray.rs", ""),
    ]);
    let wrong = upward(&found, &[&["http"], &["domain"]]);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("domain -> http"), "{wrong:?}");
    assert!(wrong[0].contains("domain::part"), "{wrong:?}");
}
