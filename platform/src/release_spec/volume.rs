//! `VOLUMES`: named volumes of an app, and the paths where its containers mount them.

use anyhow::{Context as _, ensure};

/// Directories of bootstrap, the engine or the image.
const RESERVED_DIRECTORIES: [&str; 12] = [
    "/app", "/bin", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) path: String,
}

pub(super) fn parse_list(text: &str) -> anyhow::Result<Vec<Volume>> {
    text.split([' ', ',', '\n'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let (name, path) = word
                .split_once(':')
                .filter(|(name, path)| is_name(name) && is_path(path))
                .with_context(|| {
                    format!("VOLUMES contains {word:?}: write NAME:/PATH, with a name of a-z, 0-9 and -, and a path such as /var/lib/app")
                })?;
            ensure!(
                name != "secrets",
                "VOLUMES contains a volume named secrets, which platformer secret set uses: choose another name"
            );
            Ok(Volume {
                name: name.to_owned(),
                path: path.to_owned(),
            })
        })
        .collect()
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_plain)
}

/// A `$` is refused because Compose would replace it with a variable of the machine that deploys.
fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    path.starts_with('/')
        && path.bytes().all(is_plain)
        && !path.split('/').any(|part| part == "..")
        && !RESERVED_DIRECTORIES.iter().any(|reserved| {
            path == *reserved || (*reserved != "/" && path.starts_with(&format!("{reserved}/")))
        })
}
