//! The sample apps, packed as `cargo pack` does.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};

use xtask::pack;

use super::PROFILE;

/// A packed sample app.
#[derive(Debug, Clone)]
pub struct Sample {
    pub version: String,
    pub archive: Vec<u8>,
    pub config: String,
}

static PACKED: OnceLock<Mutex<HashMap<String, Sample>>> = OnceLock::new();

impl Sample {
    /// Packs each app once per run.
    pub fn packed(app: &str) -> Self {
        let cache = PACKED.get_or_init(Mutex::default);
        // If packing panicked, the lock is poisoned. The test of that app reports the failure.
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = cache.get(app) {
            return sample.clone();
        }
        let directory = tempfile::tempdir().unwrap();
        let packed = pack::pack(app, directory.path(), PROFILE).unwrap();
        let sample = Self {
            archive: fs::read(&packed.archive).unwrap(),
            config: fs::read_to_string(&packed.config).unwrap(),
            version: packed.version,
        };
        let name = packed.archive.file_name().unwrap();
        let suffix = format!("-{}.tar.gz", sample.version);
        assert!(
            name.to_str().unwrap().ends_with(&suffix),
            "{}",
            name.display()
        );
        cache.insert(app.to_owned(), sample.clone());
        sample
    }

    /// Returns the value of a line of the config.
    pub fn value(&self, name: &str) -> &str {
        self.config
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("no line {name}= in {}", self.config))
    }
}
