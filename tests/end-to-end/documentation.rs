//! README and docs, executed: every shell block runs as it is written, and prints what the page shows.
//!
//! 1. [`blocks`] reads the fenced blocks of a page. A block without a class, or without a reason not to run, is an error
//! 2. [`session`] runs the blocks of a page in order, in one shell in a directory of its own
//! 3. [`output`] compares the output with the page, apart from digests, sizes, durations and times
//!
//! A page may hold these blocks:
//!
//! | block | meaning |
//! |---|---|
//! | `sh` | commands, which must succeed |
//! | `console` | commands after `$`, with their output. `…` stands for any text. A command may fail if `$ echo $?` follows |
//! | after `<!-- needs Docker -->` | runs with the container tests |
//! | after `<!-- not executed: REASON -->` | doesn't run |
//! | on a page with `<!-- no block of this page is executed: REASON -->` | doesn't run |
//! | `nginx`, `haproxy`, `keepalived`, `json`, `text`, `config` | not commands |

mod blocks;
mod links;
mod output;
mod session;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use blocks::{Block, Class};
use platformer_tests::skip::{require_program, skip};
use platformer_tests::{binaries, docker, platform};

/// Time for all blocks of a page.
const TIMEOUT: Duration = Duration::from_mins(2);
const TIMEOUT_WITH_DOCKER: Duration = Duration::from_mins(8);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page of the documentation, relative to the checkout.
struct Page {
    name: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let mut names: Vec<String> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(str::to_owned)
        .into();
    for directory in ["docs", "docs/decisions"] {
        let is_page = |file: &String| file.rsplit_once('.').is_some_and(|(_, end)| end == "md");
        names.extend(entries(directory).into_iter().filter(is_page));
    }
    let apps = entries("sample-apps");
    names.extend(apps.iter().map(|app| format!("{app}/README.md")));
    names
        .into_iter()
        .map(|name| Page {
            text: std::fs::read_to_string(root().join(&name)).expect("a page"),
            name,
        })
        .collect()
}

fn entries(directory: &str) -> BTreeSet<String> {
    std::fs::read_dir(root().join(directory))
        .unwrap()
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            format!("{directory}/{name}")
        })
        .collect()
}

/// Runs the blocks of all pages for which `runs` is true, and fails with all mismatches at once.
fn run(pages: &[Page], timeout: Duration, runs: impl Fn(&Block) -> bool) {
    let mut problems = Vec::new();
    for page in pages {
        match blocks::read(&page.name, &page.text) {
            Err(unclear) => problems.extend(unclear),
            Ok(mut blocks) => {
                blocks.retain(&runs);
                problems.extend(session::run(&page.name, &blocks, timeout));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n\n"));
}

/// Skips the current test if a program that every page uses is not installed.
fn require_programs() {
    for program in ["bash", "curl", "tar", "timeout"] {
        require_program(program, program);
    }
}

#[test]
fn shell_blocks_do_what_the_pages_say() {
    require_programs();
    run(&pages(), TIMEOUT, |block| block.class == Class::Shell);
}

#[test]
fn blocks_with_docker_do_what_the_pages_say() {
    require_programs();
    platform::require_compose();
    if let Some(taken) = Names::taken() {
        skip(&format!("{taken} exists, and the README uses that name"));
    }
    let _names = Names;
    let mut pages = pages();
    pages.retain(|page| {
        let blocks = blocks::read(&page.name, &page.text).unwrap_or_default();
        blocks.iter().any(|block| block.class == Class::Docker)
    });
    run(&pages, TIMEOUT_WITH_DOCKER, |block| {
        block.class != Class::NotExecuted
    });
}

/// The names that the README gives to containers, a volume and a network. Dropping it removes them, and the environment
/// of the page of the platform.
struct Names;

impl Names {
    const CONTAINERS: [&str; 2] = ["repository", "hello-world"];

    /// A container, volume or network that isn't this test's.
    fn taken() -> Option<String> {
        let containers = Self::CONTAINERS.map(|name| ["container", name]);
        containers
            .into_iter()
            .chain([["volume", "repository"], ["network", "platform"]])
            .find(|[kind, name]| docker::docker(&[kind, "inspect", name]).status.success())
            .map(|[kind, name]| format!("{kind} {name}"))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for name in Self::CONTAINERS {
            docker::docker(&["rm", "--force", name]);
        }
        docker::docker(&["volume", "rm", "repository"]);
        docker::docker(&["network", "rm", "platform"]);
        let _ = Command::new(binaries::platformer())
            .args(["clean", "training", "--yes"])
            .env("PLATFORM_NAME", session::environment())
            .output();
    }
}

#[test]
fn links_lead_to_files_and_headings() {
    let pages = pages();
    let dead: Vec<String> = pages.iter().flat_map(links::dead).collect();
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

/// The settings on the reference page are those of the binaries.
#[test]
fn the_reference_names_every_setting() {
    let reference = std::fs::read_to_string(root().join("docs/reference.md")).unwrap();
    for (binary, prefix) in [
        (binaries::bootstrap(), "BOOTSTRAP_"),
        (binaries::repository(), "REPOSITORY_"),
    ] {
        let help = Command::new(binary).arg("--help").output().unwrap().stdout;
        let help = String::from_utf8(help).unwrap();
        let known = names(&help, prefix);
        assert!(known.len() > 20, "{help}");
        let missing: Vec<_> = known
            .difference(&names(&reference, prefix))
            .cloned()
            .collect();
        assert!(missing.is_empty(), "docs/reference.md lacks {missing:?}");
    }
}

/// The words of a text that begin with `prefix`.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.len() > prefix.len() && word.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}
