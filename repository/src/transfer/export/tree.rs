//! The tree that an export writes. Each file is replaced in one step, so no reader sees half of it.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use repository_api::Digest;
use rustix::fs::syncfs;
use uuid::Uuid;

use super::ExportError;
use crate::storage::blob::Sum;

/// The directory of unfinished files. No other name in the tree begins with a dot.
const UNFINISHED: &str = ".unfinished";

#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// A file that moves to its path when it is complete.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    file: BufWriter<File>,
    sum: Sum,
}

impl Tree {
    /// Opens a tree, and removes the unfinished files of an interrupted export.
    pub(super) fn open(root: &Path) -> Result<Self, ExportError> {
        let tree = Self {
            root: root.to_owned(),
        };
        let unfinished = root.join(UNFINISHED);
        remove(&unfinished)?;
        fs::create_dir_all(&unfinished).map_err(|error| failed(&unfinished, error))?;
        Ok(tree)
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn begin(&self) -> Result<Unfinished, ExportError> {
        let name = Uuid::now_v7().simple().to_string();
        let path = self.root.join(UNFINISHED).join(name);
        let file = File::create_new(&path).map_err(|error| failed(&path, error))?;
        Ok(Unfinished {
            path,
            file: BufWriter::with_capacity(256 << 10, file),
            sum: Sum::default(),
        })
    }

    pub(super) fn finish(&self, unfinished: Unfinished, path: &str) -> Result<(), ExportError> {
        let place = self.path(path);
        let directory = place.parent().unwrap_or(&self.root);
        let placed = unfinished
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|_| fs::create_dir_all(directory))
            .and_then(|()| fs::rename(&unfinished.path, &place));
        placed.map_err(|error| failed(&place, error))
    }

    pub(super) fn write(&self, path: &str, content: &[u8]) -> Result<(), ExportError> {
        let place = self.path(path);
        if fs::read(&place).is_ok_and(|existing| existing == content) {
            return Ok(());
        }
        let mut unfinished = self.begin()?;
        unfinished.write(content)?;
        self.finish(unfinished, path)
    }

    /// The names in a directory; none if it does not exist.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, ExportError> {
        let place = self.path(path);
        let entries = match fs::read_dir(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed(&place, error))?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names
            .collect::<io::Result<_>>()
            .map_err(|error| failed(&place, error))
    }

    /// The ids of the entries in a log of an earlier export, up to the first line that isn't an entry.
    pub(super) fn ids(&self, path: &str) -> Result<Vec<Uuid>, ExportError> {
        #[derive(serde::Deserialize)]
        struct Entry {
            id: Uuid,
        }
        let place = self.path(path);
        let file = match File::open(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.map_err(|error| failed(&place, error))?,
        };
        let mut ids = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|error| failed(&place, error))?;
            match serde_json::from_slice::<Entry>(&line) {
                Ok(Entry { id }) => ids.push(id),
                Err(_) => break,
            }
        }
        Ok(ids)
    }

    pub(super) fn has_file(&self, path: &str) -> bool {
        self.path(path).is_file()
    }

    /// Whether the file exists with this size and digest.
    pub(super) fn has(&self, path: &str, size: u64, sha256: Digest) -> bool {
        let Ok(mut file) = File::open(self.path(path)) else {
            return false;
        };
        if !file
            .metadata()
            .is_ok_and(|found| found.is_file() && found.len() == size)
        {
            return false;
        }
        let mut sum = Sum::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match io::Read::read(&mut file, &mut buffer) {
                Ok(0) => return sum.end() == (size, sha256),
                Ok(read) => sum.add(&buffer[..read]),
                Err(_) => return false,
            }
        }
    }

    /// Removes a file, or a directory with its content, if it exists.
    pub(super) fn remove(&self, path: &str) -> Result<(), ExportError> {
        remove(&self.path(path))
    }

    /// Makes everything that was written durable.
    pub(super) fn sync(&self) -> Result<(), ExportError> {
        File::open(&self.root)
            .and_then(|root| Ok(syncfs(root)?))
            .map_err(|error| failed(&self.root, error))
    }

    pub(super) fn close(self) -> Result<(), ExportError> {
        remove(&self.root.join(UNFINISHED))?;
        self.sync()
    }
}

impl Unfinished {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.sum.add(bytes);
        self.file
            .write_all(bytes)
            .map_err(|error| failed(&self.path, error))
    }

    /// Size and digest of the bytes written so far.
    pub(super) fn sum(&self) -> (u64, Digest) {
        self.sum.clone().end()
    }

    pub(super) fn abandon(self) {
        // The next export removes what is left.
        let _ = fs::remove_file(self.path);
    }
}

fn remove(path: &Path) -> Result<(), ExportError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        source,
    }
}
