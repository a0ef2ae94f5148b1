//! A store surrounded by canaries, and the check that both are intact.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use platformer_tests::server::Server;
use platformer_tests::tree::{Entry, snapshot};
use tempfile::TempDir;

use super::grammar;

pub(super) const CANARY: &str = "a secret that no response contains";
/// Mode of the canaries.
const MODE: u32 = 0o640;

/// A store with canaries above it, beside it and inside it.
pub(super) struct Sandbox {
    home: TempDir,
    pub(super) server: Server,
    outside: Tree,
}

type Tree = BTreeMap<PathBuf, Entry>;

/// Below several directories, so that traversals end in the sandbox.
const STORE: &str = "a/b/store";

/// Directories of the canaries. The last two are in the store.
const CANARIES: [&str; 5] = ["", "a", "a/b", STORE, "a/b/store/apps/hello"];

/// Returns a snapshot of everything but the store.
fn outside(home: &Path) -> Tree {
    let mut tree = snapshot(home);
    tree.retain(|path, _| !path.starts_with(STORE));
    tree
}

impl Sandbox {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join(STORE);
        fs::create_dir_all(&store).unwrap();
        let settings = [("ANONYMOUS_WRITES", "true"), ("HEADER_TIMEOUT", "60s")];
        let server = Server::start_with(&store, &settings);
        server.publish("/artefacts/hello/0.1.0/f", "seed");
        for directory in CANARIES {
            let canary = home.path().join(directory).join("canary");
            fs::write(&canary, CANARY).unwrap();
            fs::set_permissions(&canary, fs::Permissions::from_mode(MODE)).unwrap();
        }
        let outside = outside(home.path());
        Self {
            home,
            server,
            outside,
        }
    }

    /// Asserts that nothing outside the store has changed, and that the store contains only its own files.
    pub(super) fn assert_untouched(&self) {
        assert!(outside(self.home.path()) == self.outside);
        let is_owner = |name: &str| name == "_default" || is_app(name);
        for (path, entry) in snapshot(&self.home.path().join(STORE)) {
            let names: Vec<&str> = path.iter().map(|name| name.to_str().unwrap()).collect();
            let is_legal = match names.as_slice() {
                ["canary"] | ["apps", "hello", "canary"] => {
                    entry.content == CANARY.as_bytes() && entry.mode & 0o7777 == MODE
                }
                [] | [".lock" | ".beside" | "apps" | "names" | "blobs" | "proofs" | "uploads"] => {
                    true
                }
                ["names" | "apps", app] | ["apps", app, "log" | "segments"] => is_owner(app),
                ["apps", app, "log", file] => {
                    is_owner(app) && file.strip_suffix(".json").is_some_and(is_number)
                }
                ["blobs", id] => is_uuid(id),
                _ => false,
            };
            assert!(is_legal, "{}", path.display());
        }
        for directory in CANARIES {
            assert!(
                self.home.path().join(directory).join("canary").is_file(),
                "{directory}"
            );
        }
    }

    /// Returns the paths of all files and channels.
    pub(super) fn listed(&self) -> BTreeSet<String> {
        let names = |path: &str, list: &str| -> Vec<String> {
            let answer = self.server.get(&format!("{path}?limit=1000"));
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("link"), None, "a single page");
            answer.json()[list]
                .as_array()
                .unwrap_or_else(|| panic!("{list} in {}", answer.text()))
                .iter()
                .map(|entry| match entry {
                    serde_json::Value::String(name) => name.clone(),
                    entry => ["name", "version", "file", "channel"]
                        .iter()
                        .find_map(|key| entry[key].as_str())
                        .unwrap_or_else(|| panic!("{entry}"))
                        .to_owned(),
                })
                .collect()
        };
        let mut found = BTreeSet::new();
        for app in names("/artefacts/", "apps") {
            for version in names(&format!("/artefacts/{app}/"), "versions") {
                let path = format!("/artefacts/{app}/{version}/");
                found.extend(names(&path, "files").iter().map(|file| path.clone() + file));
            }
            for channel in names(&format!("/channels/{app}/"), "channels") {
                found.insert(format!("/channels/{app}/{channel}"));
            }
        }
        found
    }
}

fn is_app(name: &str) -> bool {
    grammar::written(format!("/artefacts/{name}/1/f").as_bytes()).is_some()
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    let length = text.chars().filter(|letter| *letter != '-').count();
    length == 32
        && text
            .chars()
            .all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}
