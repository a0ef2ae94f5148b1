//! Reproducible `.tar.gz` archives: equal files pack to equal bytes, so publishing them twice is not a conflict.
//!
//! An archive contains no time, owner, umask or file order of this machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Directory,
    File { content: Content, executable: bool },
    Link(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    InMemory(Vec<u8>),
    /// Read while the archive is written, because the file may be large.
    OnDisk(PathBuf),
}

/// Entries by path, so that a directory comes before its files.
pub type Entries = BTreeMap<PathBuf, Entry>;

/// Reads the entries of a tar stream and strips the directory around them.
pub fn entries(stream: impl Read) -> anyhow::Result<Entries> {
    let mut entries = Entries::new();
    for entry in Archive::new(stream).entries()? {
        let mut entry = entry?;
        let mut path = entry.path()?.components().collect::<PathBuf>();
        path = path.components().skip(1).collect();
        if path.as_os_str().is_empty() {
            continue;
        }
        let found = match entry.header().entry_type() {
            EntryType::Directory => Entry::Directory,
            EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                // The other bits come from the umask of the checkout.
                let executable = entry.header().mode()? & 0o111 != 0;
                Entry::File {
                    content: Content::InMemory(content),
                    executable,
                }
            }
            EntryType::Symlink => {
                let target = entry
                    .link_name()?
                    .context("the archive contains a link without a target")?;
                Entry::Link(target.into_owned())
            }
            other => bail!(
                "can't pack {}: only files, directories and symbolic links are supported, not {other:?}",
                path.display()
            ),
        };
        entries.insert(path, found);
    }
    Ok(entries)
}

/// Packs a directory into `archive`, without the names in `except` at its top.
pub(crate) fn pack_directory(
    directory: &Path,
    archive: &Path,
    except: &[&str],
) -> anyhow::Result<()> {
    let mut entries = directory_entries(directory)?;
    if entries.is_empty() {
        bail!(
            "{} is empty: put the files of the app into it",
            directory.display()
        );
    }
    entries.retain(|path, _| except.iter().all(|name| path != Path::new(name)));
    write(archive, &entries)
}

fn directory_entries(directory: &Path) -> anyhow::Result<Entries> {
    let mut entries = Entries::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(parent) = pending.pop() {
        let path = directory.join(&parent);
        let names =
            fs::read_dir(&path).with_context(|| format!("failed to read {}", path.display()))?;
        for name in names {
            let relative = parent.join(name?.file_name());
            let path = directory.join(&relative);
            let metadata = path.symlink_metadata()?;
            let entry = if metadata.is_dir() {
                pending.push(relative.clone());
                Entry::Directory
            } else if metadata.is_symlink() {
                Entry::Link(fs::read_link(&path)?)
            } else if metadata.is_file() {
                Entry::File {
                    executable: metadata.permissions().mode() & 0o111 != 0,
                    content: Content::OnDisk(path),
                }
            } else {
                bail!(
                    "can't pack {}: only files, directories and symbolic links are supported",
                    path.display()
                );
            };
            entries.insert(relative, entry);
        }
    }
    Ok(entries)
}

/// Writes the entries as a `.tar.gz`.
pub fn write(archive: &Path, entries: &Entries) -> anyhow::Result<()> {
    let mut builder = Builder::new(GzEncoder::new(
        File::create(archive)?,
        Compression::default(),
    ));
    for (path, entry) in entries {
        let mut header = Header::new_ustar();
        header.set_mtime(1);
        header.set_uid(0);
        header.set_gid(0);
        match entry {
            Entry::File {
                content,
                executable,
            } => {
                header.set_mode(if *executable { 0o755 } else { 0o644 });
                append(&mut builder, &mut header, path, content)
                    .with_context(|| format!("failed to pack {}", path.display()))?;
            }
            Entry::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                header.set_mode(0o755);
                builder.append_data(&mut header, path.join(""), std::io::empty())?;
            }
            Entry::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                header.set_mode(0o777);
                builder.append_link(&mut header, path, target)?;
            }
        }
    }
    builder.into_inner()?.finish()?;
    Ok(())
}

fn append<W: Write>(
    builder: &mut Builder<W>,
    header: &mut Header,
    path: &Path,
    content: &Content,
) -> anyhow::Result<()> {
    match content {
        Content::InMemory(bytes) => {
            header.set_size(bytes.len() as u64);
            builder.append_data(header, path, bytes.as_slice())?;
        }
        Content::OnDisk(from) => {
            let file = File::open(from)?;
            header.set_size(file.metadata()?.len());
            builder.append_data(header, path, file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn stream(files: &[(&str, u32, u64)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, mode, time) in files {
            let mut header = Header::new_ustar();
            header.set_size(3);
            header.set_mode(*mode);
            header.set_mtime(*time);
            header.set_uid(*time);
            builder
                .append_data(&mut header, path, b"abc".as_slice())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn order_time_owner_and_umask_do_not_change_the_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let packed = |files: &[(&str, u32, u64)]| {
            let path = directory.path().join("packed.tar.gz");
            write(&path, &entries(stream(files).as_slice()).unwrap()).unwrap();
            std::fs::read(path).unwrap()
        };
        let one = packed(&[("artefact/b", 0o600, 5), ("artefact/a/x", 0o755, 7)]);
        let two = packed(&[("artefact/a/x", 0o775, 9), ("artefact/b", 0o664, 3)]);
        assert_eq!(one, two);
    }

    #[test]
    fn a_directory_and_its_tar_stream_pack_to_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("artefact");
        fs::create_dir_all(source.join("b")).unwrap();
        fs::write(source.join("b/x"), "abc").unwrap();
        fs::write(source.join("a"), "abc").unwrap();
        std::os::unix::fs::symlink("b/x", source.join("link")).unwrap();
        let mut builder = Builder::new(Vec::new());
        builder.follow_symlinks(false);
        builder.append_dir_all("artefact", &source).unwrap();
        let stream = builder.into_inner().unwrap();
        let packed = |entries: Entries| {
            let path = directory.path().join("packed.tar.gz");
            write(&path, &entries).unwrap();
            fs::read(path).unwrap()
        };
        assert_eq!(
            packed(directory_entries(&source).unwrap()),
            packed(entries(stream.as_slice()).unwrap())
        );
    }

    #[test]
    fn entries_strips_the_top_directory() {
        let found = entries(stream(&[("artefact/lib/a.jar", 0o644, 1)]).as_slice()).unwrap();
        let paths: Vec<_> = found.keys().collect();
        assert_eq!(paths, [Path::new("lib/a.jar")]);
    }
}
