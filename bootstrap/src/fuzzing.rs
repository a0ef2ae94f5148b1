//! Entry points of the fuzzers, for bytes from outside. They must neither panic nor break the contract. Built
//! only for fuzzing.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::SystemTime;

use repository_api::signature::TrustedKeys;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::arguments::StartArguments;
use crate::environment::{Environment, command};
use crate::fetch::continues;
use crate::release;
use crate::repository::retry_after;
use crate::settings::{self, Limits, Settings};
use crate::unpack::{self, Rules};

/// A directory for trees.
static HOME: LazyLock<PathBuf> = LazyLock::new(|| {
    let home = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
    std::fs::create_dir_all(home.join("outside")).expect("a temporary directory");
    home
});

/// Unpacks an archive. The first byte chooses the compression. Nothing outside the tree may be written.
pub fn archive(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    let file = ["a.tar", "a.tar.gz", "a.tar.zst"][usize::from(*kind) % 3];
    let tree = HOME.join("tree");
    let _ = std::fs::remove_dir_all(&tree);
    std::fs::create_dir(&tree).expect("a tree");
    let rules = Rules {
        limits: Limits {
            download: 1 << 20,
            unpacked: 1 << 20,
            entries: 200,
        },
        readers: None,
    };
    let _ = unpack::unpack(bytes, file, &tree, rules);
    let beside = std::fs::read_dir(&*HOME).expect("a directory").count();
    let outside = std::fs::read_dir(HOME.join("outside"))
        .expect("a directory")
        .count();
    assert_eq!(
        (beside, outside),
        (2, 0),
        "something was written outside the tree"
    );
}

/// Parses a config layer.
pub fn config(data: &[u8]) {
    let _ = repository_api::config::parse(data);
}

/// Splits a startup command.
pub fn startup_command(data: &[u8]) {
    let environment: Environment = [("A", "one two"), ("EMPTY", ""), ("Q", "'\"\\$`")]
        .map(|(name, value)| (name.into(), value.into()))
        .into_iter()
        .collect();
    if let Ok(words) = command::split(data, &environment) {
        assert!(!words.is_empty(), "a command has a word");
    }
}

fn settings() -> Settings {
    let arguments = StartArguments {
        app: Some("hello@r42".to_owned()),
        repository: Some("localhost".to_owned()),
        command: Vec::new(),
    };
    let production = ("BOOTSTRAP_ENVIRONMENT".into(), "production".into());
    settings::read(&arguments, [production].into_iter())
        .expect("settings")
        .0
}

/// Reads a release document.
pub fn release_document(data: &[u8]) {
    static SETTINGS: LazyLock<Settings> = LazyLock::new(settings);
    if let Ok(release) = release::read(data, &SETTINGS) {
        assert_eq!(release.number, Some(42), "the release that was asked for");
    }
}

/// Verifies a signature. No input may verify.
pub fn signature(data: &[u8]) {
    static KEYS: LazyLock<TrustedKeys> = LazyLock::new(|| {
        TrustedKeys::parse("RWQ3+Vpub4DE5VetioUWYtIAObgLy7j40U4zipePBm9hajsUyBwVGDn5")
            .expect("a key")
    });
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let verified = KEYS.verify(b"nobody signed this", Some(text), SystemTime::UNIX_EPOCH);
    assert!(verified.is_err(), "a forged signature");
    let _ = TrustedKeys::parse(text);
}

/// Reads `Content-Range` and `Retry-After`.
pub fn range_headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, value) in [CONTENT_RANGE, RETRY_AFTER]
        .into_iter()
        .zip(data.split(|byte| *byte == 0))
    {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    if continues(&headers, 5, Some(10)) {
        let value = headers[CONTENT_RANGE].to_str().expect("ASCII");
        let digits: Vec<&str> = value.split(|byte: char| !byte.is_ascii_digit()).collect();
        let numbers: Vec<u64> = digits.iter().filter_map(|text| text.parse().ok()).collect();
        assert_eq!(numbers, [5, 9, 10], "{value}");
    }
    let _ = retry_after::read(&headers);
}
